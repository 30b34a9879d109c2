"""One pass over the images serves every extractor, and no image twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from dar_bench.evaluation import extraction
from dar_bench.evaluation.extraction import ImageSet, distinct_extractors, extract_each, stored_features
from dar_bench.features.base import Features
from dar_bench.features.store import FeatureStore


class Toy:
    """Mean colour; counts the images that it sees."""

    def __init__(self, name: str):
        self.name = name
        self.images = 0

    def fingerprint(self) -> str:
        return f"{self.name};mean"

    def extract(self, images: torch.Tensor) -> Features:
        self.images += len(images)
        pool = images.float().mean(dim=(2, 3)).numpy()
        return Features(pool=pool, probabilities=None, extractor=self.name, fingerprint=self.fingerprint())


class Scorer:
    def __init__(self, extractor: Toy):
        self.extractor = extractor


@pytest.fixture
def pixels() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (20, 3, 4, 4), dtype=np.uint8))


@pytest.fixture
def images(pixels: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> ImageSet:
    monkeypatch.setattr(extraction, "SHARD", 8)
    return ImageSet(
        name="noise",
        fingerprint="noise-1",
        count=20,
        size=(4, 4),
        batches=lambda start, stop: batches(pixels[start:stop]),
    )


def batches(pixels: torch.Tensor) -> Iterator[torch.Tensor]:
    yield from pixels.split(3)


def test_equal_extractors_run_once() -> None:
    one, same, other = Toy("a"), Toy("a"), Toy("b")
    scorers = [Scorer(one), Scorer(same), Scorer(other)]
    assert distinct_extractors(scorers) == [one, other]  # type: ignore[arg-type]


def test_every_extractor_sees_every_image_of_one_pass(pixels: torch.Tensor) -> None:
    one, other = Toy("a"), Toy("b")
    passes = []

    def once() -> Iterator[torch.Tensor]:
        passes.append(1)
        yield from batches(pixels)

    found = extract_each([one, other], once())
    assert (one.images, other.images, passes) == (20, 20, [1])
    expected = pixels.float().mean(dim=(2, 3)).numpy()
    assert all(np.array_equal(features.pool, expected) for features in found.values())
    assert list(found) == ["a;mean", "b;mean"]


def test_stored_features_are_not_computed_again(images: ImageSet, pixels: torch.Tensor) -> None:
    one, told = Toy("a"), []
    first = stored_features([one], images, on_images=told.append)
    second = stored_features([one], replace(images, name="renamed"), on_images=told.append)
    assert one.images == 20 and sum(told) == 40
    assert np.array_equal(first["a;mean"].pool, pixels.float().mean(dim=(2, 3)).numpy())
    assert np.array_equal(first["a;mean"].pool, second["a;mean"].pool)
    other = Toy("b")
    stored_features([one, other], images)
    assert (one.images, other.images) == (20, 20)
    stored_features([one], replace(images, fingerprint="noise-2"))
    assert one.images == 40


def test_a_stopped_run_goes_on_where_it_was(images: ImageSet, pixels: torch.Tensor) -> None:
    def stops(start: int, stop: int) -> Iterator[torch.Tensor]:
        if start >= 16:
            raise KeyboardInterrupt
        return batches(pixels[start:stop])

    one = Toy("a")
    with pytest.raises(KeyboardInterrupt):
        stored_features([one], replace(images, batches=stops))
    assert one.images == 16
    found = stored_features([one], images)
    assert one.images == 20
    assert np.array_equal(found["a;mean"].pool, pixels.float().mean(dim=(2, 3)).numpy())


def test_only_damaged_rows_are_computed_again(images: ImageSet) -> None:
    one = Toy("a")
    before = stored_features([one], images)
    (shard,) = FeatureStore().folder.glob("*/00000008-*.safetensors")
    shard.write_bytes(shard.read_bytes()[:-1])
    after = stored_features([one], images)
    assert one.images == 20 + 8
    assert np.array_equal(before["a;mean"].pool, after["a;mean"].pool)
