"""Statistics of one's own: the numbers of one pass, whatever interrupts it, and what they may serve for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dar_bench.errors import UserError
from dar_bench.evaluation import extraction
from dar_bench.evaluation.extraction import ImageSet, stored_features
from dar_bench.features.base import Features
from dar_bench.features.store import FeatureStore
from dar_bench.metrics.moments import gaussian
from dar_bench.references import building
from dar_bench.references.building import build_statistics
from dar_bench.references.opening import check_extractor, open_given
from dar_bench.references.statistics import read_statistics


class Toy:
    name = "toy"

    def __init__(self, version: int = 1) -> None:
        self.images = 0
        self.version = version

    def fingerprint(self) -> str:
        return f"toy;{self.version}"

    def extract(self, images: torch.Tensor) -> Features:
        self.images += len(images)
        pool = images.float().mean(dim=(2, 3)).numpy()
        return Features(
            pool=pool,
            spatial=pool[:, :2] * 2,
            probabilities=None,
            extractor=self.name,
            fingerprint=self.fingerprint(),
        )


PIXELS = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (40, 3, 4, 4), dtype=np.uint8))


@pytest.fixture
def images(monkeypatch: pytest.MonkeyPatch) -> ImageSet:
    for module in (extraction, building):
        monkeypatch.setattr(module, "SHARD", 8)
    monkeypatch.setattr(building, "KEEP_EVERY", 2)
    return ImageSet(
        name="noise",
        fingerprint="noise-1",
        count=40,
        size=(4, 4),
        batches=lambda start, stop: iter(PIXELS[start:stop].split(3)),
    )


def test_the_file_holds_the_moments_of_all_features(tmp_path: Path, images: ImageSet) -> None:
    target = tmp_path / "noise.npz"
    about = build_statistics(images, Toy(), target, crop="none")
    expected = PIXELS.float().mean(dim=(2, 3)).numpy()
    statistics = read_statistics(target)
    assert statistics.about == about
    assert (about.count, about.size, about.fingerprint) == (40, 4, "toy;1")
    for part, features in (("pool", expected), ("spatial", expected[:, :2] * 2)):
        whole = gaussian(features)
        # Merged by shards of 8: float64 sums in another order.
        np.testing.assert_allclose(statistics.moments[part].mean, whole.mean, rtol=1e-13)
        np.testing.assert_allclose(statistics.moments[part].covariance, whole.covariance, rtol=1e-10)
    assert [path.name for path in tmp_path.iterdir()] == ["noise.npz"]
    assert FeatureStore().entries() == []


def test_a_killed_build_goes_on_and_ends_with_the_same_bytes(tmp_path: Path, images: ImageSet) -> None:
    def stops(start: int, stop: int) -> Iterator[torch.Tensor]:
        if start >= 24:
            raise KeyboardInterrupt
        return images.batches(start, stop)

    toy = Toy()
    with pytest.raises(KeyboardInterrupt):
        build_statistics(replace(images, batches=stops), toy, tmp_path / "a.npz", crop="none")
    assert not (tmp_path / "a.npz").exists()
    told: list[int] = []
    build_statistics(images, toy, tmp_path / "a.npz", crop="none", on_images=told.append)
    # Three shards were summed before the stop, two of them kept.
    assert toy.images == 24 + 24
    assert sum(told) == 40
    build_statistics(images, Toy(), tmp_path / "b.npz", crop="none")
    one, other = (read_statistics(tmp_path / name) for name in ("a.npz", "b.npz"))
    assert one.fingerprint == other.fingerprint
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.npz"]


@pytest.mark.parametrize("what", ["another extractor", "damaged"])
def test_sums_of_something_else_are_not_continued(tmp_path: Path, images: ImageSet, what: str) -> None:
    def stops(start: int, stop: int) -> Iterator[torch.Tensor]:
        if start >= 24:
            raise KeyboardInterrupt
        return images.batches(start, stop)

    with pytest.raises(KeyboardInterrupt):
        build_statistics(replace(images, batches=stops), Toy(), tmp_path / "a.npz", crop="none")
    (partial,) = tmp_path.iterdir()
    toy = Toy(version=2) if what == "another extractor" else Toy()
    if what == "damaged":
        partial.write_bytes(partial.read_bytes()[:-50])
    build_statistics(images, toy, tmp_path / "a.npz", crop="none")
    assert toy.images == 40


def test_stored_features_are_used(tmp_path: Path, images: ImageSet) -> None:
    stored_features([Toy()], images)
    toy = Toy()
    build_statistics(images, toy, tmp_path / "a.npz", crop="none")
    assert toy.images == 0


def test_statistics_belong_to_their_extractor(tmp_path: Path, images: ImageSet) -> None:
    build_statistics(images, Toy(), tmp_path / "a.npz", crop="none")
    given = open_given(str(tmp_path / "a.npz"))
    assert (given.size, given.count) == (4, 40)
    check_extractor(given, Toy())
    with pytest.raises(UserError, match="of other features"):
        check_extractor(given, Toy(version=2))
