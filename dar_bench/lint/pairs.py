"""What pairs of originals and reconstructions tell: half a grey level that one side was truncated by.

Originals are the reference of rFID and PSNR, so a truncation of theirs moves both as much as one of the
reconstructions. Reconstructions that were cut down instead of rounded are half a level darker on average; a
decoder's own bias is seldom just that, and the finding says what was measured.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dar_bench.lint.findings import Finding, finding
from dar_bench.lint.levels import LEVELS, check_levels

ENOUGH = 16
HALF = 0.5
AROUND = 0.15
"""How far from half a level the mean difference may be to count as one."""

SAMPLE = 2048


class PairTally:
    """Gathers the mean difference of every pair and the grey levels of the originals."""

    def __init__(self) -> None:
        self._differences: list[float] = []
        self._levels = np.zeros(LEVELS, dtype=np.int64)

    def add(self, originals: NDArray[Any], reconstructions: NDArray[Any]) -> None:
        """Take a batch of pairs, uint8 (b, ...) each."""
        if len(self._differences) < SAMPLE:
            self._levels += np.bincount(originals.reshape(-1), minlength=LEVELS)
            means = [side.reshape(len(side), -1).mean(axis=1) for side in (reconstructions, originals)]
            self._differences.extend((means[0] - means[1]).tolist())

    def recall(self, differences: NDArray[np.float64], levels: NDArray[np.int64]) -> None:
        """Take what was kept of pairs: mean differences (n,), and the grey levels of the originals, int64 (256,)."""
        self._levels += levels
        self._differences.extend(differences.tolist())

    def wanted(self) -> int:
        """Return how many more pairs are looked at."""
        return max(0, SAMPLE - len(self._differences))

    def findings(self) -> list[Finding]:
        """Return what was found."""
        found = [replace(one, seen=f"The originals: {one.seen}") for one in check_levels(self._levels)]
        n = len(self._differences)
        if n < ENOUGH:
            return found
        mean = float(np.mean(self._differences))
        error = float(np.std(self._differences, ddof=1)) / math.sqrt(n)
        if abs(mean + HALF) < AROUND and error < AROUND / 3:
            found.append(
                finding(
                    "half-level-truncation",
                    f"The reconstructions are {-mean:.2f} grey levels darker than the originals on average "
                    f"(error {error:.2f}, {n:,} pairs): what truncating in place of rounding does.",
                    difference=mean,
                    error=error,
                )
            )
        return found
