"""Every kind of source gives the same images in the same order."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.datasets import ImageFolder

from dar_bench.data import ImageSource, base, open_source

KINDS = ("folder", "zip", "wrapped zip", "npz", "compressed npz", "parquet", "webdataset")


@pytest.fixture
def opened(image_folder, read_order, files, tmp_path, write_zip, write_tar, write_parquet):
    """All kinds of source of the same five images, by kind."""
    folder = open_source(image_folder)
    pixels = np.stack([np.asarray(example.image) for example in folder])
    np.savez(tmp_path / "plain.npz", pixels, folder.labels())
    np.savez_compressed(tmp_path / "small.npz", pixels, folder.labels())
    ordered = [files[name] for name in read_order]
    labels = [int(label) for label in folder.labels()]
    write_parquet(tmp_path / "train-0.parquet", ordered[:3], labels[:3], row_group_size=2)
    write_parquet(tmp_path / "train-1.parquet", [], [])
    write_parquet(tmp_path / "train-2.parquet", ordered[3:], labels[3:])
    pairs = [
        [(f"{i:04d}.cls", str(labels[i]).encode()), (f"{i:04d}.png", ordered[i]), (f"{i:04d}.json", b"{}")]
        for i in range(5)
    ]
    write_tar(tmp_path / "s-09.tar", [member for pair in pairs[:2] for member in pair])
    write_tar(tmp_path / "s-10.tar", [member for pair in pairs[2:] for member in pair])
    write_zip(tmp_path / "plain.zip", files)
    extra = {"data/readme.txt": b"x", "__MACOSX/data/train/cat/._a.png": b"x"}
    write_zip(tmp_path / "wrapped.zip", {f"data/train/{name}": files[name] for name in files} | extra)
    return {
        "folder": folder,
        "zip": open_source(tmp_path / "plain.zip"),
        "wrapped zip": open_source(tmp_path / "wrapped.zip"),
        "npz": open_source(tmp_path / "plain.npz"),
        "compressed npz": open_source(tmp_path / "small.npz"),
        "parquet": open_source(str(tmp_path / "train-*.parquet")),
        "webdataset": open_source(str(tmp_path / "s-{09..10}.tar")),
    }


def test_folder_order_is_torchvisions(image_folder: Path, read_order):
    theirs = ImageFolder(image_folder)
    ours = open_source(image_folder)
    assert tuple(ours.class_names) == tuple(theirs.classes) == ("cat", "dog")
    assert [ours.key(i) for i in range(len(ours))] == list(read_order)
    assert [(str(image_folder / ours.key(i)), int(ours.labels()[i])) for i in range(5)] == theirs.samples


@pytest.mark.parametrize("kind", KINDS)
def test_same_images_whatever_the_container(opened, kind):
    folder, source = opened["folder"], opened[kind]
    assert len(source) == 5
    assert source.labels().dtype == np.int64
    assert len({source.key(i) for i in range(5)}) == 5
    for example, other in zip(folder, source, strict=True):
        assert other.image.mode == "RGB"
        assert other.label == example.label
        assert np.array_equal(np.asarray(other.image), np.asarray(example.image))
    assert np.array_equal(np.asarray(source[-1].image), np.asarray(source[4].image))
    with pytest.raises(IndexError):
        source[5]


@pytest.mark.parametrize("kind", ("zip", "npz", "parquet", "webdataset"))
def test_pickled_with_open_handles(opened, kind):
    source: ImageSource = opened[kind]
    before = np.asarray(source[3].image)
    copy = pickle.loads(pickle.dumps(source))
    assert np.array_equal(np.asarray(copy[3].image), before)
    assert copy.fingerprint() == source.fingerprint()


def test_pickle_carries_no_pixels(opened):
    source = opened["npz"]
    source[0]
    assert len(pickle.dumps(source)) < 5 * 12 * 10 * 3 + 1500


class _Tensors(torch.utils.data.Dataset):
    def __init__(self, source: ImageSource):
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.from_numpy(np.array(self.source[index].image))


@pytest.mark.parametrize("kind", ("folder", "zip", "npz", "parquet", "webdataset"))
def test_forked_workers(opened, kind):
    # The parent reads first, so that handles exist which the children must not share.
    source = opened[kind]
    wanted = [np.asarray(example.image) for example in source]
    context = multiprocessing.get_context("fork")
    loader = torch.utils.data.DataLoader(_Tensors(source), num_workers=2, multiprocessing_context=context)
    got = [batch[0].numpy() for batch in loader]
    assert all(np.array_equal(a, b) for a, b in zip(wanted, got, strict=True))


@pytest.mark.parametrize("kind", ("folder", "zip"))
def test_fingerprint_follows_content_not_name(tmp_path, image_folder, files, write_zip, kind):
    if kind == "folder":
        copy = shutil.copytree(image_folder, tmp_path / "other name")
        paths = [image_folder, copy]
    else:
        paths = [write_zip(tmp_path / "a.zip", files), tmp_path / "b.zip"]
        shutil.copy(paths[0], paths[1])
    before = open_source(paths[0]).fingerprint()
    assert open_source(paths[1]).fingerprint() == before
    assert len(before) == 64
    data = {**files, "cat/a.png": files["cat/b.png"]}
    if kind == "folder":
        (image_folder / "cat/a.png").write_bytes(data["cat/a.png"])
    else:
        write_zip(paths[0], data)
    assert open_source(paths[0]).fingerprint() != before


def test_fingerprint_of_large_data_is_its_listing(image_folder, monkeypatch):
    small = open_source(image_folder).fingerprint()
    monkeypatch.setattr(base, "CONTENT_HASH_LIMIT", 10)
    listed = open_source(image_folder).fingerprint()
    assert listed != small
    assert open_source(image_folder).fingerprint() == listed
    os.utime(image_folder / "cat/a.png", ns=(1, 1))
    assert open_source(image_folder).fingerprint() != listed


def test_fingerprint_sees_the_order_of_shards(tmp_path, files, write_parquet):
    data = list(files.values())
    write_parquet(tmp_path / "a-0.parquet", data[:1], [0])
    write_parquet(tmp_path / "a-1.parquet", data[1:2], [0])
    forward = open_source(str(tmp_path / "a-*.parquet")).fingerprint()
    (tmp_path / "a-0.parquet").rename(tmp_path / "a-2.parquet")
    assert open_source(str(tmp_path / "a-*.parquet")).fingerprint() != forward
