"""A number with its uncertainty, and what every metric asks of its input."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dar_bench.errors import UserError

FloatArray = npt.NDArray[np.floating]
Float64Array = npt.NDArray[np.float64]

LEVEL = 0.95
"""Coverage of every interval in this package."""

_Z = 1.959963984540054  # the normal distribution's 97.5 % point


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A score with its sampling error.

    Attributes:
        value: the score.
        stderr: standard error of ``value``.
        n: number of independent items that the error is about.
        interval: bounds at ``LEVEL`` where they are not just ``value`` plus and minus 1.96 ``stderr``.
    """

    value: float
    stderr: float
    n: int
    interval: tuple[float, float] | None = None


def mean_estimate(values: FloatArray) -> Estimate:
    """Return the mean of independent values with its standard error (sample deviation over root n)."""
    values = values.astype(np.float64)
    spread = float(values.std(ddof=1)) if len(values) > 1 else math.inf
    return Estimate(value=float(values.mean()), stderr=spread / math.sqrt(len(values)), n=len(values))


def proportion_estimate(hits: npt.NDArray[np.bool_], *, variance: float = 0.0) -> Estimate:
    """Return the share of true entries with its binomial standard error and Wilson interval.

    The Wilson interval (1927) stays inside [0, 1] and keeps its coverage near 0 and 1, where the standard
    error collapses.

    Args:
        hits: of independent items.
        variance: of the share for other reasons, added to the binomial one; the interval is then that of the
            number of items whose binomial variance would be as large.
    """
    items = len(hits)
    share = float(np.count_nonzero(hits)) / items
    binomial = share * (1 - share) / items
    n = items * binomial / (binomial + variance) if binomial else float(items)
    centre = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return Estimate(
        value=share,
        stderr=math.sqrt(binomial + variance),
        n=items,
        # At 0 and 1 the formula ends exactly there; rounding must not leave the value outside.
        interval=(max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))),
    )


def check_features(features: FloatArray, what: str, *, minimum: int = 2) -> None:
    """Refuse features that no metric can be computed from.

    Args:
        features: (n, D).
        what: whose features these are, for the message (``reference``, ``samples``).
        minimum: the fewest rows that make sense.

    Raises:
        UserError: too few rows, or a value that is NaN or infinite.
    """
    if features.ndim != 2:
        raise ValueError(f"features of {what} must be (n, D), got shape {features.shape}")
    n = len(features)
    if n < minimum:
        raise UserError(
            f"Too few images: the {what} hold {n}, at least {minimum} are needed.",
            hint="Use more images; scores settle only with thousands.",
        )
    bad = int(np.count_nonzero(~np.isfinite(features).all(axis=1)))
    if bad:
        raise UserError(
            f"The features of the {what} are not finite for {bad} of {n} images.",
            why="NaN or infinity would turn every score into NaN.",
            hint="Look at those images and at the device's precision.",
        )


def check_same_width(reference: FloatArray, samples: FloatArray) -> None:
    """Refuse two sets of features of different dimension."""
    if reference.shape[1] != samples.shape[1]:
        raise UserError(
            f"The reference has {reference.shape[1]} feature dimensions, the samples {samples.shape[1]}.",
            why="They come from different extractors.",
            hint="Extract both with the same extractor.",
        )
