"""The Frechet distance's sampling error where only the samples' moments are known.

For Gaussian features the error has a closed form. With d = m - m1 the influence of a sample x on the distance is
2 d'y + y'(I - T)y less its mean, where y = x - m and T is the map that carries the samples' covariance S to the
reference's S1 (T S T = S1). Its two parts are uncorrelated, and for normal y their variances are 4 d'S d and
2 tr(((I - T) S)^2), which expands to 2 (tr S^2 - 2 tr(T S S) + tr S1 S).
"""

from __future__ import annotations

import numpy as np

from dar_bench.errors import UserError
from dar_bench.metrics.estimate import Estimate
from dar_bench.metrics.frechet import frechet_distance
from dar_bench.metrics.moments import Gaussian


def frechet_moments_estimate(reference: Gaussian, samples: Gaussian) -> Estimate:
    """Return the distance of two sets of moments, with the error of Gaussian samples.

    The reference is taken as given. Features of images have heavier tails than a Gaussian, so the error is a
    little too small; where the samples' features are at hand, ``frechet_estimate`` needs no such assumption.

    Raises:
        UserError: different dimensions.
    """
    value = frechet_distance(reference, samples)
    shift = samples.mean - reference.mean
    own, other = samples.covariance, reference.covariance
    variance = 4.0 * float(shift @ own @ shift)
    variance += 2.0 * (float((own**2).sum()) - 2.0 * _carried(own, other) + float((own * other).sum()))
    return Estimate(value=value, stderr=float(np.sqrt(max(variance, 0.0) / samples.n)), n=samples.n)


def known_count(name: str, gaussian: Gaussian, count: int) -> Gaussian:
    """Return samples' moments whose number of images is known.

    Raises:
        UserError: it is not, so that no error can be given.
    """
    if count < 2:
        raise UserError(
            f"The statistics '{name}' do not say how many images they are of.",
            why="Without it their distance has no standard error.",
            hint="Name the images themselves, or build the statistics with 'dar-bench stats build'.",
        )
    return Gaussian(mean=gaussian.mean, covariance=gaussian.covariance, n=count)


def _carried(own: np.ndarray, other: np.ndarray) -> float:
    """Return tr(T S S) for S = ``own`` and T S T = ``other``, by a factor of ``other`` cut to its rank."""
    eigenvalues, vectors = np.linalg.eigh(other)
    kept = eigenvalues > max(float(eigenvalues[-1]), 0.0) * len(eigenvalues) * np.finfo(np.float64).eps
    factor = np.sqrt(eigenvalues[kept])[:, None] * vectors[:, kept].T
    between = factor @ own
    inner, axes = np.linalg.eigh(between @ factor.T)
    used = (
        inner > max(float(inner[-1]), 0.0) * len(inner) * np.finfo(np.float64).eps
        if len(inner)
        else inner > 0
    )
    turned = axes[:, used].T @ between
    return float(((turned**2).sum(axis=1) / np.sqrt(inner[used])).sum())
