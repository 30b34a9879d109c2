from __future__ import annotations

import functools
import json
import signal
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from dar_bench import plugins, weights
from dar_bench.api import Card, TokenizerCard, WeightsFile
from dar_bench.cli.main import run
from dar_bench.cli.tokenize import tokenize as command
from dar_bench.data import open_source, transforms
from dar_bench.data.codes import CodeCache
from dar_bench.data.tokenization import RECIPES, CropRecipe, cache_key, describe, tokenize
from dar_bench.errors import UserError

SIZE = 8
SHA = "f" * 64


def _card(**changes) -> TokenizerCard:
    given = {
        "name": "corners",
        "family": "tokenizer",
        "summary": "",
        "parameters": 0,
        "image_size": SIZE,
        "load": "",
        "weights": WeightsFile(filename="corners.safetensors"),
        "tokens": 4,
        "codebook_size": 256,
    }
    return TokenizerCard(**{**given, **changes})


class Corners:
    """A tokenizer whose four codes are the red values of the corners: every crop shows in its codes."""

    def __init__(self, fail_after: int | None = None):
        self.card = _card()
        self.batches: list[int] = []
        self.fail_after = fail_after

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        if self.fail_after is not None and sum(self.batches) >= self.fail_after:
            raise KeyboardInterrupt
        self.batches.append(len(images))
        assert images.dtype == torch.uint8
        assert images.shape[1:] == (3, SIZE, SIZE)
        return images[:, 0, :: SIZE - 1, :: SIZE - 1].reshape(-1, 4).long()


def _corners(squares: np.ndarray) -> np.ndarray:
    return squares[:, :: SIZE - 1, :: SIZE - 1, 0].reshape(-1, 4)


def _expected(source, crops: str) -> np.ndarray:
    return np.stack([_corners(RECIPES[crops].cut(example.image, SIZE)) for example in source])


@pytest.fixture
def source(image_folder):
    return open_source(image_folder)


@pytest.mark.parametrize(("crops", "count"), [("center", 1), ("flip", 2), ("ten", 10)])
@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_codes_of_every_crop(source, tmp_path, crops, count, batch_size):
    tokenizer = Corners()
    counts: list[int] = []
    cache = tokenize(
        tokenizer,
        source,
        tmp_path / "codes",
        weights_sha256=SHA,
        crops=crops,
        batch_size=batch_size,
        on_images=counts.append,
    )
    wanted = _expected(source, crops)
    got = np.stack([[cache.codes(i, crop) for crop in range(count)] for i in range(5)])
    assert np.array_equal(got, wanted)
    assert np.array_equal(cache.labels(), source.labels())
    assert cache.class_names == ("cat", "dog")
    assert cache.complete
    assert sum(counts) == 5
    assert max(tokenizer.batches) <= batch_size


def test_recipes_are_the_crops_they_name(source):
    image = source[0].image
    square = transforms.center_crop(image, SIZE)
    assert np.array_equal(RECIPES["center"].cut(image, SIZE), square[None])
    assert np.array_equal(RECIPES["flip"].cut(image, SIZE), np.stack([square, square[:, ::-1]]))
    assert np.array_equal(RECIPES["ten"].cut(image, SIZE), transforms.ten_crop(image, SIZE, 1.1))


def test_workers_change_nothing(source, tmp_path):
    cache = tokenize(Corners(), source, tmp_path / "codes", weights_sha256=SHA, crops="flip", workers=2)
    got = np.stack([[cache.codes(i, crop) for crop in range(2)] for i in range(5)])
    assert np.array_equal(got, _expected(source, "flip"))


def test_workers_leave_ctrl_c_to_the_parent(source, tmp_path, monkeypatch):
    def cut(image, size):
        ignored = [signal.getsignal(number) is signal.SIG_IGN for number in (signal.SIGINT, signal.SIGTERM)]
        return np.full((1, size, size, 3), 100 + all(ignored), dtype=np.uint8)

    monkeypatch.setitem(RECIPES, "center", CropRecipe("center", 1, cut))
    for workers, code in ((0, 100), (1, 101)):
        cache = tokenize(Corners(), source, tmp_path / str(workers), weights_sha256=SHA, workers=workers)
        assert cache.codes(0).tolist() == [code] * 4


def test_interrupted_and_resumed(source, tmp_path):
    folder = tmp_path / "codes"
    with pytest.raises(KeyboardInterrupt):
        tokenize(Corners(fail_after=3), source, folder, weights_sha256=SHA, batch_size=1)
    assert len(CodeCache.open(folder)) == 3
    counts: list[int] = []
    tokenizer = Corners()
    cache = tokenize(tokenizer, source, folder, weights_sha256=SHA, batch_size=1, on_images=counts.append)
    assert counts == [3, 1, 1]
    assert tokenizer.batches == [1, 1]
    assert np.array_equal(np.stack([cache.codes(i) for i in range(5)]), _expected(source, "center")[:, 0])


def test_limit_then_all(source, tmp_path):
    cache = tokenize(Corners(), source, tmp_path / "codes", weights_sha256=SHA, limit=2)
    assert (len(cache), cache.expected, cache.complete) == (2, 2, True)
    cache = tokenize(Corners(), source, tmp_path / "codes", weights_sha256=SHA)
    assert (len(cache), cache.expected) == (5, 5)
    nothing = Corners()
    cache = tokenize(nothing, source, tmp_path / "codes", weights_sha256=SHA, limit=1)
    assert (len(cache), nothing.batches) == (5, [])


@pytest.mark.parametrize("workers", [0, 2])
def test_an_unreadable_image_is_named_and_the_rest_kept(image_folder, source, tmp_path, workers):
    wanted = _expected(source, "center")[:, 0]
    (image_folder / "dog/y.png").write_bytes(b"damaged")
    damaged = open_source(image_folder)
    with pytest.raises(UserError) as caught:
        tokenize(Corners(), damaged, tmp_path / "codes", weights_sha256=SHA, workers=workers)
    assert "dog/y.png (image 2 of" in caught.value.what
    assert "Traceback" not in str(caught.value)
    cache = CodeCache.open(tmp_path / "codes")
    assert len(cache) == 2
    assert np.array_equal(np.stack([cache.codes(i) for i in range(2)]), wanted[:2])


def test_other_input_is_refused(source, tmp_path):
    tokenize(Corners(), source, tmp_path / "codes", weights_sha256=SHA, limit=1)
    with pytest.raises(UserError, match="tokenizer weights"):
        tokenize(Corners(), source, tmp_path / "codes", weights_sha256="e" * 64)
    with pytest.raises(UserError, match="crops center instead of ten:1.1"):
        tokenize(Corners(), source, tmp_path / "codes", weights_sha256=SHA, crops="ten")
    with pytest.raises(UserError, match="Unknown crop recipe 'tne'.*'ten'"):
        cache_key(Corners(), SHA, source, "tne")


def test_report(source, tmp_path):
    cache = tokenize(Corners(), source, tmp_path / "codes", weights_sha256=SHA)
    report = describe(cache)
    values = _expected(source, "center").reshape(-1)
    shares = np.unique(values, return_counts=True)[1] / len(values)
    assert report.used == len(shares) / 256
    assert report.entropy == pytest.approx(-(shares * np.log2(shares)).sum())
    assert report.entropy_limit == 8.0
    assert (report.images, report.crops, report.tokens) == (5, 1, 4)


# --- the command -----------------------------------------------------------------------------------------


@pytest.fixture
def zoo(monkeypatch, tmp_path) -> Path:
    """A zoo with the tokenizer ``corners`` and one model that is none."""
    file = tmp_path / "corners.safetensors"
    file.write_bytes(b"weights")
    fields = {
        "summary": "",
        "parameters": 0,
        "image_size": 8,
        "load": "",
        "weights": WeightsFile(filename="x"),
    }
    cards = {"corners": _card(), "painter": Card(name="painter", family="diffusion", **fields)}
    registry = types.SimpleNamespace(card=cards.__getitem__, datasets=list)
    monkeypatch.setattr(plugins, "registry", lambda: registry)
    monkeypatch.setattr(plugins, "load_model", lambda name, options, weights=None: Corners())
    monkeypatch.setattr(weights, "weights_path", lambda card: file)
    return file


def test_command(zoo, image_folder, tmp_path):
    invoke = functools.partial(CliRunner().invoke, command, catch_exceptions=False)
    out = tmp_path / "codes"
    arguments = ["corners", str(image_folder), "--out", str(out), "--crops", "ten"]
    first = invoke([*arguments, "--limit", "2", "--json"])
    assert first.exit_code == 0
    result = json.loads(first.stdout)
    assert (result["images"], result["crops"], result["complete"]) == (2, 10, True)
    assert result["key"]["image_size"] == 8
    second = invoke(arguments)
    assert "5 of 5" in second.stdout
    assert "bits" in second.stdout
    cache = CodeCache.open(out)
    assert len(cache) == 5
    zoo.write_bytes(b"other weights")
    with pytest.raises(UserError, match="tokenizer weights"):
        invoke(arguments)
    replaced = invoke([*arguments, "--overwrite", "--limit", "1"])
    assert "1 of 1" in replaced.stdout


def test_command_refuses_a_generator(zoo, image_folder, tmp_path, capsys):
    code = run(["tokenize", "painter", str(image_folder), "--out", str(tmp_path / "codes")])
    assert code == 2
    assert "'painter' is no tokenizer" in capsys.readouterr().err
    assert not (tmp_path / "codes").exists()


def test_command_refuses_a_device_that_is_not_there(zoo, image_folder, tmp_path, capsys):
    arguments = ["tokenize", "corners", str(image_folder), "--out", str(tmp_path / "codes")]
    assert run([*arguments, "--device", "gpu"]) == 2
    assert "Unknown device 'gpu'" in capsys.readouterr().err
    assert not (tmp_path / "codes").exists()


def test_command_interrupted(zoo, image_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(plugins, "load_model", lambda *a, **k: Corners(fail_after=2))
    arguments = ["tokenize", "corners", str(image_folder), "--out", str(tmp_path / "codes")]
    assert run([*arguments, "--batch-size", "1"]) == 130
    assert len(CodeCache.open(tmp_path / "codes")) == 2
