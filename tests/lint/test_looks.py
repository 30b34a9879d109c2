"""Samples that are judged from what was kept of them are judged as if they were seen."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dar_bench.lint import Expectations, Finding, SampleLint
from dar_bench.lint.looks import Looks

Images = NDArray[np.uint8]


def noise(count: int) -> Images:
    random = np.random.default_rng(3)
    smooth = random.uniform(20, 235, (count, 3, 8, 8)).repeat(8, axis=2).repeat(8, axis=3)
    return (smooth + random.normal(0, 6, smooth.shape)).clip(0, 255).astype(np.uint8)


def copied(images: Images) -> Images:
    images[5], images[40] = images[2], images[2]
    return images


def blank(images: Images) -> Images:
    images[7] = 90
    images[8] = np.array([1, 2, 3], dtype=np.uint8)[:, None, None]
    return images


def truncated(images: Images) -> Images:
    images[images == 63] = 62
    return images


def dark(images: Images) -> Images:
    return images // 255


def jpeg(images: Images) -> Images:
    found = []
    for image in images:
        stream = io.BytesIO()
        Image.fromarray(image.transpose(1, 2, 0)).save(stream, "jpeg", quality=60)
        found.append(np.asarray(Image.open(stream)).transpose(2, 0, 1))
    return np.stack(found)


def seen(images: Images, originals: Images | None) -> list[Finding]:
    lint = SampleLint(Expectations(count=None, size=64))
    for start in range(0, len(images), 16):
        lint.add(images[start : start + 16])
        if originals is not None:
            lint.compare(originals[start : start + 16], images[start : start + 16])
    return lint.findings()


def recalled(images: Images, originals: Images | None, shard: int) -> list[Finding]:
    lint = SampleLint(Expectations(count=None, size=64))
    for first in range(0, len(images), shard):
        looks = Looks(first)
        for start in range(first, min(first + shard, len(images)), 16):
            rows = slice(start, min(start + 16, first + shard))
            looks.add(images[rows], None if originals is None else originals[rows])
        hashes = [image.tobytes()[:0] + _digest(image) for image in images[first : first + shard]]
        lint.recall(looks.arrays(), np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(-1, 32), 64)
        if (pixels := looks.pixels()) is not None:
            lint.recall_pixels(pixels)
    return lint.findings()


def _digest(image: Images) -> bytes:
    import hashlib

    return hashlib.sha256(image.tobytes()).digest()


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (None, None),
        (copied, "duplicates"),
        (blank, "blank-images"),
        (truncated, "half-level-truncation"),
        (dark, "wrong-range"),
        (jpeg, "jpeg-origin"),
    ],
)
def test_every_rule_on_pixels_says_the_same_of_kept_samples(spoil: object, rule: str | None) -> None:
    images = noise(96) if spoil is None else spoil(noise(96))  # type: ignore[operator]
    found = seen(images, None)
    assert recalled(images, None, shard=96) == found
    assert [one.rule for one in found if one.rule == rule] == ([rule] if rule else [])
    if rule != "jpeg-origin":  # which looks at the first shard only
        assert recalled(images, None, shard=32) == found


def test_reconstructions_that_are_half_a_level_darker_are_found() -> None:
    originals = noise(96)
    lower = np.random.default_rng(0).random(originals.shape) < 0.5
    images = np.where(lower & (originals > 0), originals - 1, originals).astype(np.uint8)
    found = seen(images, originals)
    assert "half-level-truncation" in {one.rule for one in found}
    assert recalled(images, originals, shard=32) == found


def test_what_older_versions_kept_says_less_and_does_not_fail() -> None:
    lint = SampleLint(Expectations(count=None, size=64))
    lint.recall({}, np.zeros((20, 32), dtype=np.uint8), 64)
    assert [one.rule for one in lint.findings()] == ["duplicates"]
