from __future__ import annotations

import dataclasses
import errno
import json
import os
import pickle
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dar_bench.data import code_writer
from dar_bench.data.code_writer import CodeWriter
from dar_bench.data.codes import CacheKey, CodeCache, utilisation
from dar_bench.errors import UserError

KEY = CacheKey(tokenizer="a" * 64, data="b" * 64, image_size=32, crops="flip", tokens=4, codebook_size=1000)
CODES = np.random.default_rng(0).integers(0, 1000, (11, 2, 4))
LABELS = np.arange(11) % 3


def _open(folder: Path, key: CacheKey = KEY, **options) -> CodeWriter:
    given = {"crops": 2, "expected": 11, "class_names": ("x", "y", "z"), "shard_rows": 4, **options}
    return CodeWriter(folder, key, **given)


@pytest.fixture
def filled(tmp_path) -> Path:
    with _open(tmp_path / "codes") as writer:
        writer.append(CODES[:3], LABELS[:3])
        writer.append(CODES[3:], LABELS[3:])
    return tmp_path / "codes"


def _check(cache: CodeCache, rows: int = 11) -> None:
    assert len(cache) == rows
    for index in range(rows):
        for crop in range(2):
            codes = cache.codes(index, crop)
            assert codes.dtype == np.int64
            assert np.array_equal(codes, CODES[index, crop])
        assert cache.label(index) == LABELS[index]
    assert np.array_equal(cache.labels(), LABELS[:rows])


def test_round_trip(filled):
    cache = CodeCache.open(filled, KEY)
    _check(cache)
    assert cache.complete
    assert cache.crops == 2
    assert cache.class_names == ("x", "y", "z")
    assert sorted(p.name for p in filled.glob("codes-*")) == [f"codes-0000{i}.npy" for i in range(3)]
    assert np.load(filled / "codes-00000.npy").dtype == np.uint16
    _check(pickle.loads(pickle.dumps(cache)))
    for index, crop in ((11, 0), (-1, 0), (0, 2)):
        with pytest.raises(IndexError):
            cache.codes(index, crop)


def test_more_shards_than_a_process_may_open_files(tmp_path):
    with _open(tmp_path / "codes", shard_rows=1) as writer:
        writer.append(CODES, LABELS)
    cache = CodeCache.open(tmp_path / "codes", KEY)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    # New files get the lowest free number, and four are left: the cache has eleven shards of two.
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + 4, hard))
    try:
        _check(cache)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_large_codebooks_need_more_bits(tmp_path):
    key = dataclasses.replace(KEY, codebook_size=2**16 + 1)
    with _open(tmp_path, key) as writer:
        writer.append(np.full((1, 2, 4), 2**16), LABELS[:1])
    assert CodeCache.open(tmp_path, key).codes(0, 1).tolist() == [2**16] * 4


def test_usage(filled):
    usage = CodeCache.open(filled).usage()
    assert np.array_equal(usage, np.bincount(CODES.reshape(-1), minlength=1000))


@pytest.mark.parametrize(
    ("counts", "used", "entropy"),
    [([0, 0], 0.0, 0.0), ([5, 0], 0.5, 0.0), ([3, 3, 3, 3], 1.0, 2.0), ([2, 1, 1, 0], 0.75, 1.5)],
)
def test_utilisation(counts, used, entropy):
    assert utilisation(np.array(counts)) == pytest.approx((used, entropy), abs=1e-12)


def test_an_interrupted_run_goes_on(tmp_path):
    with pytest.raises(KeyboardInterrupt), _open(tmp_path) as writer:
        writer.append(CODES[:6], LABELS[:6])
        raise KeyboardInterrupt
    cache = CodeCache.open(tmp_path, KEY)
    _check(cache, 6)
    assert not cache.complete
    with _open(tmp_path) as writer:
        assert len(writer) == 6
        writer.append(CODES[6:], LABELS[6:])
    _check(CodeCache.open(tmp_path, KEY))


def test_a_killed_run_keeps_its_finished_shards(tmp_path):
    writer = _open(tmp_path)
    writer.append(CODES[:6], LABELS[:6])
    # A kill runs no clean-up: what has not filled a shard is lost. The system frees a dead process's lock.
    os.close(writer._lock)
    _check(CodeCache.open(tmp_path, KEY), 4)
    # A shard that was written without having been listed is written again.
    (tmp_path / "codes-00001.npy").write_bytes(b"left over")
    with _open(tmp_path) as writer:
        assert len(writer) == 4
        writer.append(CODES[4:], LABELS[4:])
    _check(CodeCache.open(tmp_path, KEY))


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        ({"tokenizer": "c" * 64}, "tokenizer weights aaaaaaaaaaaa instead of cccccccccccc"),
        ({"data": "c" * 64}, "data bbbbbbbbbbbb instead of cccccccccccc"),
        ({"image_size": 64}, "image size 32 instead of 64"),
        ({"crops": "center"}, "crops flip instead of center"),
        (
            {"tokens": 8, "codebook_size": 9},
            "tokens per image 4 instead of 8; codebook size 1000 instead of 9",
        ),
    ],
)
def test_another_key_is_refused_with_the_difference(filled, change, phrase):
    other = dataclasses.replace(KEY, **change)
    for use in (lambda: CodeCache.open(filled, other), lambda: _open(filled, other)):
        with pytest.raises(UserError, match=rf"They have {phrase}\."):
            use()
    _check(CodeCache.open(filled, KEY))


def test_overwrite_takes_another_key(filled):
    other = dataclasses.replace(KEY, image_size=64)
    with _open(filled, other, overwrite=True) as writer:
        assert len(writer) == 0
        writer.append(CODES[:2], LABELS[:2])
    cache = CodeCache.open(filled, other)
    _check(cache, 2)
    assert not list(filled.glob("*-00001.npy"))


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _alter(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["codes-00001.npy", "labels-00002.npy"])
@pytest.mark.parametrize(
    ("damage", "why"),
    [(Path.unlink, "missing"), (_truncate, r"bytes, \d+ were written"), (_alter, "SHA-256")],
)
def test_a_damaged_shard_is_named(filled, name, damage: Callable[[Path], None], why):
    damage(filled / name)
    with pytest.raises(UserError, match=rf"{name} is damaged.*{why}.*--overwrite"):
        CodeCache.open(filled, KEY)


def test_sizes_are_checked_without_hashes_too(filled):
    _truncate(filled / "codes-00000.npy")
    for use in (lambda: CodeCache.open(filled, verify=False), lambda: _open(filled)):
        with pytest.raises(UserError, match="codes-00000.npy is damaged"):
            use()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Cannot read .*index.json"),
        ("[]", "is no index of codes"),
        ('{"format": "dar-bench codes", "version": 2}', "has version 2, this program reads version 1"),
        ('{"format": "dar-bench codes", "version": 1}', "damaged.*'key'"),
    ],
)
def test_damaged_index(filled, text, message):
    (filled / "index.json").write_text(text)
    with pytest.raises(UserError, match=message):
        CodeCache.open(filled)


def test_folder_without_codes(tmp_path):
    with pytest.raises(UserError, match=r"holds no codes.*dar-bench tokenize"):
        CodeCache.open(tmp_path)


@pytest.mark.parametrize("overwrite", [False, True])
def test_folder_of_other_files_is_left_alone(tmp_path, overwrite):
    (tmp_path / "codes-of-conduct.npy").write_text("precious")
    with pytest.raises(UserError, match=r"other files than codes, such as codes-of-conduct\.npy"):
        _open(tmp_path, overwrite=overwrite)
    assert (tmp_path / "codes-of-conduct.npy").read_text() == "precious"


def test_one_writer_at_a_time(tmp_path):
    with _open(tmp_path), pytest.raises(UserError, match="Another process writes codes"):
        _open(tmp_path)
    with _open(tmp_path) as writer:
        assert len(writer) == 0


def test_codes_that_do_not_fit(tmp_path):
    with _open(tmp_path) as writer:
        with pytest.raises(ValueError, match="shape"):
            writer.append(CODES[:2, :1], LABELS[:2])
        with pytest.raises(ValueError, match="of 1000"):
            writer.append(CODES[:2] + 1000, LABELS[:2])
        with pytest.raises(ValueError, match="of 1000"):
            writer.append(CODES[:2] - 1000, LABELS[:2])
        assert len(writer) == 0


def test_a_full_disk_keeps_the_finished_shards(tmp_path, monkeypatch):
    def full(path: Path, array: np.ndarray) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError, match="No space left"), _open(tmp_path) as writer:
        writer.append(CODES[:4], LABELS[:4])
        monkeypatch.setattr(code_writer.np, "save", full)
        writer.append(CODES[4:], LABELS[4:])
    monkeypatch.undo()
    _check(CodeCache.open(tmp_path, KEY), 4)
    assert not list(tmp_path.glob(".tmp-*"))


def test_the_index_reads_as_json(filled):
    index = json.loads((filled / "index.json").read_text())
    assert index["key"]["data"] == "b" * 64
    assert [shard["rows"] for shard in index["shards"]] == [4, 4, 3]
