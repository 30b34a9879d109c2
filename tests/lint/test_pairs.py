"""Rules on pairs of originals and reconstructions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dar_bench.lint import Expectations, Finding, SampleLint

Pixels = NDArray[np.uint8]
RANDOM = np.random.default_rng(0)
ORIGINALS = RANDOM.integers(0, 256, (64, 3, 32, 32), dtype=np.uint8)


def reconstructed(bias: float = 0.0) -> NDArray[np.float64]:
    """What a decoder paints before it is brought to 8 bits: noise around the originals, a bias of its own."""
    return np.asarray(ORIGINALS + RANDOM.normal(0, 6, ORIGINALS.shape) + bias)


def rounded(values: NDArray[np.float64]) -> Pixels:
    return values.round().clip(0, 255).astype(np.uint8)


def truncated(values: NDArray[np.float64]) -> Pixels:
    return np.floor(values).clip(0, 255).astype(np.uint8)


def lint(originals: Pixels, images: Pixels) -> list[Finding]:
    watcher = SampleLint(Expectations(count=None))
    for start in range(0, len(originals), 10):
        rows = slice(start, start + 10)
        watcher.add(torch.from_numpy(images[rows]))
        watcher.compare(torch.from_numpy(originals[rows]), torch.from_numpy(images[rows]))
    return watcher.findings()


@pytest.mark.parametrize("bias", [0.0, -0.25, 0.5, -1.0])
def test_rounded_reconstructions_pass_whatever_their_bias(bias: float) -> None:
    assert lint(ORIGINALS, rounded(reconstructed(bias))) == []


def test_truncated_reconstructions_are_half_a_level_darker() -> None:
    (found,) = lint(ORIGINALS, truncated(reconstructed()))
    assert found.rule == "half-level-truncation"
    assert found.numbers["difference"] == pytest.approx(-0.5, abs=4 * float(found.numbers["error"]) + 0.02)


def test_truncated_originals_are_found_too() -> None:
    """A data set that was normalised, denormalised and truncated, as the reference of rFID."""
    back = ((torch.from_numpy(ORIGINALS).float() / 255 - 0.5) / 0.5 * 0.5 + 0.5) * 255
    (found,) = lint(back.to(torch.uint8).numpy(), rounded(reconstructed()))
    assert found.rule == "half-level-truncation"
    assert found.seen.startswith("The originals: Level 63 never occurs")


def test_a_few_pairs_say_nothing() -> None:
    assert lint(ORIGINALS[:8], truncated(reconstructed())[:8]) == []
