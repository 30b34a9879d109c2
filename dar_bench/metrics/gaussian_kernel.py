"""Maximum mean discrepancy with a Gaussian kernel: CMMD on CLIP embeddings (Jayasumana et al. 2024).

    k(x, y) = exp(-|x - y|^2 / (2 sigma^2)),  sigma = 10
    CMMD = 1000 ( mean_ij k(x_i, x_j) + mean_ij k(y_i, y_j) - 2 mean_ij k(x_i, y_j) )

on embeddings of unit length, with the sigma and the factor of the paper's code, and like it with the pairs
i = j in the means: the estimate is not negative, and biased upwards by some 1000 (1 - mean k) / n from each
set. ``unbiased`` leaves those pairs out.
"""

from __future__ import annotations

import math

import numpy as np

from dar_bench.metrics.estimate import Estimate, Float64Array, FloatArray, check_features, check_same_width

SIGMA = 10.0
SCALE = 1000.0
_ROWS = 1024


def gaussian_mmd(
    reference: FloatArray,
    samples: FloatArray,
    *,
    sigma: float = SIGMA,
    scale: float = SCALE,
    unbiased: bool = False,
) -> Estimate:
    """Return the discrepancy of two sets of features, (n, D) and (m, D), in float64, over all pairs.

    The standard error takes the reference as given, as for the Frechet distance: the first-order influence of
    a sample is twice its mean kernel with the samples minus that with the reference, and the spread of these
    gives the error (Hoeffding's projection). Where the distributions are equal it vanishes at first order and
    the error says too little.

    Args:
        reference, samples: features of both sets; CMMD's have unit length (``unit_length``).
        sigma: width of the kernel. scale: factor of the result.
        unbiased: leave out the pairs of a point with itself.

    Raises:
        UserError: fewer than two rows, different dimensions, or values that are not finite.
    """
    check_features(reference, "reference")
    check_features(samples, "samples")
    check_same_width(reference, samples)
    real, fake = reference.astype(np.float64), samples.astype(np.float64)
    within_real = _row_sums(real, real, sigma)
    within_fake = _row_sums(fake, fake, sigma)
    across = _row_sums(fake, real, sigma)
    n, m = len(real), len(fake)
    own = 1.0 if unbiased else 0.0  # k(x, x) = 1
    value = (
        float((within_real - own).sum()) / (n * (n - own))
        + float((within_fake - own).sum()) / (m * (m - own))
        - 2.0 * float(across.sum()) / (n * m)
    )
    influences = 2.0 * (within_fake / m - across / n)
    stderr = float(influences.std(ddof=1)) / math.sqrt(m)
    return Estimate(value=scale * value, stderr=scale * stderr, n=m)


def unit_length(features: FloatArray) -> FloatArray:
    """Return features (n, D) divided by their lengths, in their own precision."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(lengths, np.finfo(np.float32).tiny), dtype=features.dtype)


def _row_sums(left: Float64Array, right: Float64Array, sigma: float) -> Float64Array:
    """Return for every row of ``left`` the sum of its kernel with all rows of ``right``, in blocks."""
    right_norms = np.einsum("ij,ij->i", right, right)
    sums = np.empty(len(left))
    for start in range(0, len(left), _ROWS):
        rows = slice(start, start + _ROWS)
        distances = left[rows] @ right.T
        distances *= -2.0
        distances += np.einsum("ij,ij->i", left[rows], left[rows])[:, None]
        distances += right_norms
        np.maximum(distances, 0.0, out=distances)
        distances *= -1.0 / (2.0 * sigma**2)
        sums[rows] = np.exp(distances, out=distances).sum(axis=1)
    return sums
