from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from dar_bench.errors import UserError
from dar_bench.features.base import Features
from dar_bench.features.store import FeatureKey, FeatureStore, StoredFeatures

KEY = FeatureKey(images="pixels", extractor="toy;1")


def features(n: int, seed: int = 0, fingerprint: str = "toy;1") -> Features:
    random = np.random.default_rng(seed)
    return Features(
        pool=random.normal(size=(n, 5)).astype(np.float32),
        probabilities=random.dirichlet(np.ones(3), n).astype(np.float32),
        spatial=random.normal(size=(n, 2)).astype(np.float32),
        extractor="toy",
        fingerprint=fingerprint,
    )


def equal(one: Features | None, other: Features) -> bool:
    return one is not None and all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("pool", "probabilities", "spatial", "extractor", "fingerprint")
    )


@pytest.fixture
def shelf(store: Path) -> StoredFeatures:
    return FeatureStore().open(KEY, images="some images", extractor="toy")


def test_rows_come_back_bit_for_bit(shelf: StoredFeatures) -> None:
    first, second = features(4, 1), features(3, 2)
    assert shelf.read(0, 4) is None
    shelf.write(0, first)
    shelf.write(4, second)
    assert equal(shelf.read(0, 4), first)
    assert equal(shelf.read(4, 7), second)
    assert shelf.read(0, 7) is None


def test_the_key_is_content_and_no_name(shelf: StoredFeatures) -> None:
    shelf.write(0, features(4))
    store = FeatureStore()
    assert store.open(KEY, images="another name", extractor="toy").read(0, 4) is not None
    others = [FeatureKey(images="pixels", extractor="toy;2"), FeatureKey(images="pixel", extractor="stoy;1")]
    for key in others:
        assert store.open(key, images="some images", extractor="toy").read(0, 4) is None
    with pytest.raises(ValueError, match="do not belong"):
        shelf.write(4, features(4, fingerprint="toy;2"))


@pytest.mark.parametrize("place", [10, 300, -1])
def test_damaged_rows_are_forgotten(shelf: StoredFeatures, place: int) -> None:
    shelf.write(0, features(8))
    (path,) = shelf.folder.glob("*.safetensors")
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(bytes(content))
    assert shelf.read(0, 8) is None
    assert not path.exists()
    shelf.write(0, features(8))
    assert equal(shelf.read(0, 8), features(8))


def test_a_cut_shard_is_forgotten(shelf: StoredFeatures) -> None:
    shelf.write(0, features(8))
    (path,) = shelf.folder.glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-7])
    assert shelf.read(0, 8) is None


def test_what_is_not_finite_is_refused(shelf: StoredFeatures) -> None:
    bad = features(8)
    bad.pool[5, 2] = np.nan
    with pytest.raises(UserError, match="pool features of image 25 are not finite"):
        shelf.write(20, bad)
    assert shelf.read(20, 28) is None


def test_entries_are_listed_by_use_and_deleted(store: Path) -> None:
    listing = FeatureStore()
    assert listing.entries() == []
    for number, name in enumerate(("old", "new")):
        key = FeatureKey(images=name, extractor="toy;1")
        shelf = listing.open(key, images=name, extractor="toy")
        shelf.write(0, features(4))
        os.utime(shelf.folder / "entry.json", (1000 + number, 1000 + number))
    assert [entry.images for entry in listing.entries()] == ["old", "new"]
    assert all(entry.size > 4 * 5 * 4 and entry.extractor == "toy" for entry in listing.entries())
    old = listing.entries()[0]
    listing.open(FeatureKey(images="old", extractor="toy;1"), images="old", extractor="toy").read(0, 4)
    assert [entry.images for entry in listing.entries()] == ["new", "old"]
    listing.delete(old.key)
    listing.delete(old.key)
    assert [entry.images for entry in listing.entries()] == ["new"]


def test_a_listing_outlives_what_another_process_deletes(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = FeatureStore()
    shelf = listing.open(FeatureKey(images="one", extractor="toy;1"), images="one", extractor="toy")
    shelf.write(0, features(4))
    read_text = Path.read_text

    def read_then_lose(path: Path, *arguments: object, **keywords: object) -> str:
        text = read_text(path, encoding="utf-8")
        listing.delete(shelf.folder.name)
        return text

    monkeypatch.setattr(Path, "read_text", read_then_lose)
    assert [entry.size for entry in listing.entries()] == [0]
