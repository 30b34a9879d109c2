"""Kernel distance: squared maximum mean discrepancy with a cubic kernel (the KID of Binkowski 2018).

    k(x, y) = (x'y / D + 1)^3
    KD = mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{i, j} k(x_i, y_j)

The estimate is unbiased at any number of samples, so it can be slightly negative for equal distributions.
"""

from __future__ import annotations

import math

import numpy as np

from dar_bench.metrics.estimate import Estimate, Float64Array, FloatArray, check_features, check_same_width

BLOCKS = 20
"""Disjoint subsets that the standard error is taken from, where there are samples enough."""

_SMALLEST_BLOCK = 4
_ROWS = 1024


def kernel_distance(reference: FloatArray, samples: FloatArray, *, seed: int = 0) -> Estimate:
    """Return the kernel distance of two sets of features, (n, D) and (m, D), in float64.

    The value uses every pair of all samples; many implementations average over random subsets of 1,000
    instead and report a noisier number. For the standard error both sets are shuffled and cut into ``BLOCKS``
    disjoint blocks; the deviation of the blocks' values over the root of their number is the error of their
    mean. The full-sample value is at least as precise as that mean, so the error is an upper estimate. It
    includes the reference's own sampling noise.

    Args:
        reference, samples: features of both sets.
        seed: fixes the shuffle, hence the standard error; the value does not depend on it.

    Raises:
        UserError: fewer than eight rows, different dimensions, or values that are not finite.
    """
    check_features(reference, "reference", minimum=2 * _SMALLEST_BLOCK)
    check_features(samples, "samples", minimum=2 * _SMALLEST_BLOCK)
    check_same_width(reference, samples)
    real, fake = reference.astype(np.float64), samples.astype(np.float64)

    random = np.random.default_rng(seed)
    count = min(BLOCKS, min(len(real), len(fake)) // _SMALLEST_BLOCK)
    real_blocks = np.array_split(random.permutation(len(real)), count)
    fake_blocks = np.array_split(random.permutation(len(fake)), count)
    parts = [_mmd(real[one], fake[two]) for one, two in zip(real_blocks, fake_blocks, strict=True)]
    return Estimate(
        value=_mmd(real, fake),
        stderr=float(np.std(parts, ddof=1)) / math.sqrt(count),
        n=len(samples),
    )


def _mmd(real: Float64Array, fake: Float64Array) -> float:
    """Return the unbiased squared maximum mean discrepancy."""
    return _within(real) + _within(fake) - 2.0 * _kernel_sum(real, fake) / (len(real) * len(fake))


def _within(points: Float64Array) -> float:
    """Return the mean kernel of two different points of one set."""
    n = len(points)
    own = ((points**2).sum(axis=1) / points.shape[1] + 1.0) ** 3
    return (_kernel_sum(points, points) - float(own.sum())) / (n * (n - 1))


def _kernel_sum(left: Float64Array, right: Float64Array) -> float:
    """Return the sum of the kernel over all pairs, in blocks of rows."""
    total = 0.0
    for start in range(0, len(left), _ROWS):
        block = left[start : start + _ROWS] @ right.T
        block /= left.shape[1]
        block += 1.0
        total += float((block * block * block).sum())
    return total
