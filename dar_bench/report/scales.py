"""Axes: from data to places in a drawing, with ticks at round numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """A linear map from values to pixels.

    Attributes:
        low, high: values at the two ends.
        start, stop: places of ``low`` and ``high`` in pixels; ``stop`` may be the smaller one.
    """

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        """Return the place of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """Return round values inside the range, about ``count`` of them."""
        step = _round_step((self.high - self.low) / max(count, 1))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [index * step for index in range(first, last + 1)]


def fitted(values: Sequence[float], start: float, stop: float, *, room: float = 0.06) -> Scale:
    """Return a scale that holds all values with some room at both ends; never of zero width."""
    low, high = min(values), max(values)
    width = (high - low) or abs(high) or 1.0
    return Scale(low - room * width, high + room * width, start, stop)


def label(value: float) -> str:
    """Return a tick's text: no more digits than a round number needs."""
    if value == 0:
        return "0"
    if abs(value) >= 1e5 or abs(value) < 1e-3:
        return f"{value:.3g}"
    return f"{value:.6g}"


def _round_step(width: float) -> float:
    """Return the least of 1, 2, 2.5, 5 times a power of ten that is at least ``width``."""
    power = 10.0 ** math.floor(math.log10(width))
    for factor in (1.0, 2.0, 2.5, 5.0):
        if factor * power >= width * (1 - 1e-9):
            return factor * power
    return 10.0 * power
