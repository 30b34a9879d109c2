"""What is special to zip, npz, Parquet and webdataset, and how each reports damage."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dar_bench.data import UNLABELLED, npz, open_source, parquet
from dar_bench.errors import UserError

# --- zip -------------------------------------------------------------------------------------------------


def test_zip_of_one_class_keeps_the_class(tmp_path, files, write_zip):
    path = write_zip(tmp_path / "a.zip", {"cat/a.png": files["cat/a.png"]})
    assert open_source(path).class_names == ("cat",)


def test_zip_damage(tmp_path, files, write_zip):
    path = write_zip(tmp_path / "a.zip", files)
    data = bytearray(path.read_bytes())
    position = data.index(files["cat/b.png"]) + 60
    data[position] ^= 255
    path.write_bytes(data)
    source = open_source(path)
    assert source[0].label == 0
    with pytest.raises(UserError, match=r"a\.zip/cat/b\.png \(image 1 of .*CRC"):
        source[1]
    path.write_bytes(data[:-200])
    with pytest.raises(UserError, match="as a zip archive"):
        open_source(path)


def test_zip_without_images(tmp_path, write_zip):
    with pytest.raises(UserError, match=r"a\.zip is empty"):
        open_source(write_zip(tmp_path / "a.zip", {}))
    with pytest.raises(UserError, match="no images among its 1 files"):
        open_source(write_zip(tmp_path / "b.zip", {"a.txt": b"x"}))


def test_encrypted_zip(tmp_path, files, write_zip):
    path = write_zip(tmp_path / "a.zip", {"cat/a.png": files["cat/a.png"]})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"is encrypted \(cat/a\.png\)"):
        open_source(path)


# --- npz -------------------------------------------------------------------------------------------------


def test_npz_is_mapped_not_loaded(tmp_path):
    pixels = np.zeros((64, 128, 128, 3), dtype=np.uint8)
    pixels[:, 0, 0, 0] = np.arange(64)
    np.savez(tmp_path / "a.npz", pixels)
    tracemalloc.start()
    source = open_source(tmp_path / "a.npz")
    firsts = [example.image.getpixel((0, 0))[0] for example in source]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert firsts == list(range(64))
    assert peak < pixels.nbytes / 4
    assert set(source.labels()) == {UNLABELLED}


def test_a_damaged_stream_of_a_compressed_npz_is_told(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    refused = set()
    for place in range(60, middle):
        changed = data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :]
        path.write_bytes(changed)
        with pytest.raises(UserError) as error:
            open_source(path)[0]
        refused.add(type(error.value.__cause__).__name__)
    # A wrong checksum, and streams that cannot be unpacked at all.
    assert {"BadZipFile", "error"} <= refused


def test_large_compressed_npz_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(npz, "COMPRESSED_LIMIT", 100)
    np.savez_compressed(tmp_path / "a.npz", np.zeros((2, 8, 8, 3), dtype=np.uint8))
    with pytest.raises(UserError, match=r"compressed.*numpy\.savez"):
        open_source(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"arr_0": np.zeros((2, 3, 8, 8), np.uint8)}, r"shape \(2, 3, 8, 8\).*Move the channels"),
        ({"arr_0": np.zeros((2, 8, 8, 3), np.float32)}, "float32"),
        ({"arr_0": np.zeros((0, 8, 8, 3), np.uint8)}, "no images"),
        ({"arr_0": np.zeros((2, 8, 8, 3), np.uint8), "arr_1": np.zeros(3, np.int64)}, r"arr_1.*\(2,\)"),
        ({"arr_0": np.zeros((2, 8, 8, 3), np.uint8), "arr_1": np.zeros(2)}, "arr_1.*float64"),
        ({"mu": np.zeros(3), "sigma": np.zeros((3, 3))}, "statistics"),
        ({"images": np.zeros((2, 8, 8, 3), np.uint8)}, "no array 'arr_0'.*It holds images"),
    ],
)
def test_npz_of_something_else(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UserError, match=message):
        open_source(tmp_path / "a.npz")


def test_damaged_npz(tmp_path):
    np.savez(tmp_path / "a.npz", np.zeros((2, 8, 8, 3), np.uint8))
    (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:-30])
    with pytest.raises(UserError, match="as an npz archive"):
        open_source(tmp_path / "a.npz")


# --- Parquet ---------------------------------------------------------------------------------------------


def test_parquet_names_from_the_hub(tmp_path, files, write_parquet):
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["cat", "dog"]}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    path = write_parquet(tmp_path / "a.parquet", list(files.values())[:2], [1, 0], metadata=metadata)
    source = open_source(path)
    assert source.class_names == ("cat", "dog")
    assert [example.label for example in source] == [1, 0]


def test_parquet_columns_found_by_their_type(tmp_path, files, write_parquet):
    features = {"img": {"_type": "Image"}, "fine": {"_type": "ClassLabel", "names": ["x"]}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    options = {"metadata": metadata, "image_column": "img", "label_column": "fine"}
    path = write_parquet(tmp_path / "a.parquet", [files["cat/a.png"]], [0], **options)
    assert open_source(path)[0].label == 0
    assert open_source(path).class_names == ("x",)


def test_parquet_columns_given(tmp_path, files):
    a, b = files["cat/a.png"], files["cat/b.png"]
    table = {"left": pa.array([a], pa.binary()), "right": pa.array([b], pa.binary()), "kind": ["dog"]}
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"more than one column of images.*left, right, kind"):
        open_source(tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"no column 'rihgt'.*'right'"):
        open_source(tmp_path / "a.parquet", image_column="rihgt")
    with pytest.raises(UserError, match="Column 'kind'.*holds string"):
        open_source(tmp_path / "a.parquet", image_column="kind")
    source = open_source(tmp_path / "a.parquet", image_column="right", label_column="kind")
    assert source.class_names == ("dog",)
    assert np.array_equal(np.asarray(source[0].image), np.asarray(_png(b)))
    other = open_source(tmp_path / "a.parquet", image_column="left", label_column="kind")
    assert other.fingerprint() != source.fingerprint()


def test_parquet_string_labels_are_sorted_names(tmp_path, files, write_parquet):
    path = write_parquet(tmp_path / "a.parquet", list(files.values())[:3], ["dog", "ape", "dog"])
    source = open_source(path)
    assert source.class_names == ("ape", "dog")
    assert source.labels().tolist() == [1, 0, 1]


def test_parquet_without_labels(tmp_path, files, write_parquet):
    source = open_source(write_parquet(tmp_path / "a.parquet", [files["cat/a.png"]], None))
    assert source[0].label == UNLABELLED


@pytest.mark.parametrize(
    ("labels", "message"), [([0.5], "holds double"), ([None], "empty labels"), ([[1]], "holds list")]
)
def test_parquet_labels_of_a_wrong_kind(tmp_path, files, write_parquet, labels, message):
    if labels == [None]:
        labels = pa.array([None], pa.int64())
    with pytest.raises(UserError, match=message):
        open_source(write_parquet(tmp_path / "a.parquet", [files["cat/a.png"]], labels))


def test_parquet_row_without_bytes(tmp_path, files, write_parquet):
    path = write_parquet(tmp_path / "a.parquet", [files["cat/a.png"], None], [0, 0])
    with pytest.raises(UserError, match=r"a\.parquet:1 \(image 1 of .*no image bytes"):
        open_source(path)[1]


def test_parquet_damage_and_emptiness(tmp_path, files, write_parquet):
    path = write_parquet(tmp_path / "a.parquet", [], [])
    with pytest.raises(UserError, match="has no rows"):
        open_source(path)
    write_parquet(path, [files["cat/a.png"]], [0])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"Cannot read .*a\.parquet as Parquet"):
        open_source(path)


def test_parquet_shards_of_two_data_sets(tmp_path, files, write_parquet):
    write_parquet(tmp_path / "a.parquet", [files["cat/a.png"]], [0])
    write_parquet(tmp_path / "b.parquet", [files["cat/a.png"]], [0], label_column="kind")
    with pytest.raises(UserError, match=r"b\.parquet has no column 'label'"):
        open_source(str(tmp_path / "*.parquet"))


def test_parquet_cache_is_bounded(tmp_path, files, write_parquet, monkeypatch):
    monkeypatch.setattr(parquet, "ROW_GROUP_CACHE_BYTES", 1200)
    data = list(files.values())
    path = write_parquet(tmp_path / "a.parquet", data, [0] * 5, row_group_size=1)
    source = open_source(path)
    for index in (0, 4, 1, 3, 2, 0, 2):
        assert np.array_equal(np.asarray(source[index].image), np.asarray(_png(data[index])))
        held = source._files()._groups
        assert 1 <= len(held) <= 2


def _png(data: bytes):
    from dar_bench.data.base import decode_image

    return decode_image(data, "it")


# --- webdataset ------------------------------------------------------------------------------------------


def test_webdataset_long_names_and_dots(tmp_path, files, write_tar):
    key = "n" * 140
    members = [
        (f"deep/{key}.img.png", files["cat/a.png"]),
        (f"deep/{key}.cls", b"7\n"),
        ("b.PNG", files["cat/b.png"]),
    ]
    path = write_tar(tmp_path / "a.tar", [*members, ("b.cls", b"3")])
    source = open_source(path)
    assert source.labels().tolist() == [7, 3]
    assert source[0].key == f"a.tar/deep/{key}.img.png"


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("a.cls", b"0")], "a label but no image for 'a'"),
        ([("a.png", b"x"), ("a.jpg", b"x")], r"two images for 'a'.*a\.png and a\.jpg"),
        ([("a.png", b"x"), ("b.png", b"x"), ("b.cls", b"1")], r"1 of the 2 images .*a\.png"),
        ([("a.png", b"x"), ("a.cls", b"cat")], r"label a\.cls of .*'cat'.*one integer"),
        ([("a.txt", b"x")], "has no images"),
        ([], "has no images"),
    ],
)
def test_webdataset_of_something_else(tmp_path, write_tar, members, message):
    with pytest.raises(UserError, match=message):
        open_source(write_tar(tmp_path / "a.tar", members))


def test_webdataset_compressed_or_damaged(tmp_path, files, write_tar):
    path = write_tar(tmp_path / "a.tar", [("a.png", files["cat/a.png"]), ("a.cls", b"0")])
    (tmp_path / "b.tar").write_bytes(gzip.compress(path.read_bytes()))
    (tmp_path / "c.tar.gz").write_bytes(gzip.compress(path.read_bytes()))
    for name in ("b.tar", "c.tar.gz"):
        with pytest.raises(UserError, match=r"is compressed.*gunzip"):
            open_source(tmp_path / name)
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(UserError, match=r"Cannot read .*a\.tar as a tar file"):
        open_source(path)
    path.write_bytes(b"x" * 2000)
    with pytest.raises(UserError, match=r"Cannot read .*a\.tar as a tar file"):
        open_source(path)


def test_webdataset_many_shards_within_the_limit_of_open_files(tmp_path, files, write_tar, monkeypatch):
    from dar_bench.data.webdataset import _Files

    monkeypatch.setattr(_Files, "LIMIT", 2)
    for number in range(5):
        write_tar(tmp_path / f"{number}.tar", [(f"{number}.png", list(files.values())[number])])
    source = open_source(tmp_path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    pixels = [np.asarray(source[i].image) for i in (0, 1, 2, 3, 4, 0)]
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2
    assert np.array_equal(pixels[0], pixels[-1])
    assert not np.array_equal(pixels[0], pixels[1])
