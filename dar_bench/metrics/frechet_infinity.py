"""Frechet distance extrapolated to infinitely many samples (Chong and Forsyth 2020).

The distance of n samples is too large by an amount that falls as 1/n. Distances of random subsets of growing
size lie near a line over 1/n; where it meets 1/n = 0 is the estimate. The reference's own bias stays.
"""

from __future__ import annotations

import numpy as np

from dar_bench.errors import UserError
from dar_bench.metrics.estimate import Estimate, FloatArray, check_features
from dar_bench.metrics.frechet import Vectors, frechet_distance, frechet_influences
from dar_bench.metrics.moments import Gaussian, gaussian

POINTS = 15
"""Subset sizes, as in the published code."""

SMALLEST_SHARE = 0.1
"""The smallest subset as a share of all samples: 5,000 of 50,000, as published."""


def frechet_infinity(
    reference: Vectors, samples: FloatArray, *, points: int = POINTS, seed: int = 0
) -> Estimate:
    """Return the extrapolated distance with its standard error.

    The estimate is a weighted sum of the subsets' distances, and to first order each of these is the mean
    influence of its members (``frechet_influences``). So the error follows from how often a sample is drawn
    and with which weight; it covers the drawing of the samples and of the subsets, and takes the reference as
    given. It is larger than the error of the distance itself: that is the price of the extrapolation.

    Args:
        reference: features (m, D) or their moments.
        samples: features (n, D).
        points: number of subset sizes, evenly spaced up to n.
        seed: of the subsets; the same seed gives the same number.

    Raises:
        UserError: the smallest subset would have no more samples than dimensions (the line does not hold
            there), or the features are refused.
    """
    check_features(samples, "samples")
    n, dimensions = samples.shape
    smallest = round(SMALLEST_SHARE * n)
    if smallest <= dimensions:
        raise UserError(
            f"Too few samples to extrapolate: {n:,} of {dimensions:,} dimensions.",
            why=f"The smallest subset of {smallest:,} must have more samples than dimensions, for the bias to "
            "fall as 1/n.",
            hint=f"Use at least {int((dimensions + 1) / SMALLEST_SHARE):,} samples.",
        )
    if points < 3:
        raise UserError(f"A line needs at least 3 points, got {points}.")
    fixed = reference if isinstance(reference, Gaussian) else gaussian(reference)
    _, influences = frechet_influences(fixed, samples)
    sizes = np.linspace(smallest, n, points).round().astype(np.int64)
    weights = _intercept_weights(1.0 / sizes)
    random = np.random.default_rng(seed)
    value, shares = 0.0, np.zeros(n)
    for size, weight in zip(sizes, weights, strict=True):
        members = random.permutation(n)[:size]
        value += weight * frechet_distance(fixed, gaussian(samples[members]))
        shares[members] += weight / size
    stderr = float(np.sqrt(((shares * influences) ** 2).sum()))
    return Estimate(value=value, stderr=stderr, n=n)


def _intercept_weights(places: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> FloatArray:
    """Return w such that w'y is the intercept of the least-squares line through (places, y)."""
    design = np.stack([np.ones_like(places), places], axis=1)
    return np.asarray(np.linalg.pinv(design)[0], dtype=np.float64)
