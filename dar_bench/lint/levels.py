"""What the grey levels of a set tell: truncation where rounding was meant, and levels that never occur.

Rounding gives every level the same width. Two ways of truncating leave a mark:

- ``floor(255 x)`` of continuous x gives level 255 no width at all: only x = 1 reaches it.
- 8-bit images that were normalised to [-1, 1] and back in float32 and then truncated lose one level wherever
  the float came out a rounding below its integer. That is so for the levels 1 to 63, so all of these move one
  down and level 63 stays empty.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dar_bench.lint.findings import Finding, finding

LEVELS = 256
EMPTY = 0.02
"""A level is empty when it holds less than this share of what its neighbours hold."""

ENOUGH = 500
"""Values that the neighbours of an empty level must hold: chance does not leave a level empty beside them."""

COMB = 4
"""Fewest separate holes that count as missing levels."""


def truncation_hole() -> int:
    """Return the level that normalising, denormalising and truncating 8-bit images in float32 leaves empty."""
    levels = np.arange(LEVELS, dtype=np.float32)
    half = np.float32(0.5)
    normalised = (levels / np.float32(255) - half) / half
    back = ((normalised * half + half) * np.float32(255)).astype(np.uint8)
    (hole,) = sorted(set(range(LEVELS)) - set(back.tolist()))
    return hole


def check_levels(histogram: NDArray[np.int64]) -> list[Finding]:
    """Judge how often every level occurs, int64 (256,), summed over images and channels."""
    holes = _holes(histogram)
    hole = truncation_hole()
    # Only this one hole, with whole surroundings: flat artwork misses many levels for other reasons.
    if hole in holes and not holes & set(range(hole - 16, hole + 17)) - {hole} and len(holes) < COMB:
        return [
            finding(
                "half-level-truncation",
                f"Level {hole} never occurs beside {int(histogram[hole - 1]):,} and "
                f"{int(histogram[hole + 1]):,} values of its neighbours: the mark of 8-bit images that were "
                "normalised, denormalised and truncated, which puts 63 of the 256 levels one too low.",
                empty_level=hole,
                levels_too_low=hole,
            )
        ]
    if _top_is_cut(histogram):
        return [
            finding(
                "half-level-truncation",
                f"Level 255 occurs {int(histogram[255]):,} times, level 254 {int(histogram[254]):,} times: "
                "values were cut down to whole levels, not rounded.",
                empty_level=255,
                at_254=int(histogram[254]),
                at_255=int(histogram[255]),
            )
        ]
    if len(holes) >= COMB:
        first = sorted(holes)
        return [
            finding(
                "missing-levels",
                f"{len(holes)} grey levels never occur between levels that do "
                f"({', '.join(map(str, first[:6]))}{', ...' if len(first) > 6 else ''}).",
                missing=len(holes),
            )
        ]
    return []


def _holes(histogram: NDArray[np.int64]) -> set[int]:
    """Return single empty levels between well-filled ones; none where most levels are sparse."""
    inner = np.arange(1, LEVELS - 1)
    fewest = np.minimum(histogram[inner - 1], histogram[inner + 1])
    empty = (histogram[inner] < EMPTY * fewest) & (fewest >= ENOUGH)
    return {int(level) for level in inner[empty]}


def _top_is_cut(histogram: NDArray[np.int64]) -> bool:
    top = histogram[250:255]
    # The levels below must be filled evenly, else the density itself ends there.
    even = top.min() >= ENOUGH and top[-1] >= 0.5 * top.mean()
    return bool(even and histogram[255] < EMPTY * top.mean())
