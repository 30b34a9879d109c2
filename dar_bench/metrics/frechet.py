"""Frechet distance between two Gaussians, and the sampling error of its estimate.

    d^2 = |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2)

(Dowson and Landau 1982; Heusel et al. 2017, Eq. 6.) The distance is printed squared, as everywhere.

The trace of the root is the sum of the square roots of the eigenvalues of S1 S2. No matrix root is formed:
with factors S1 = F1' F1 and S2 = F2' F2 those square roots are the singular values of F1 F2', whatever the
ranks. Of fewer vectors than dimensions the centred vectors themselves are such a factor, so that case is
exact too; a matrix square root by Schur decomposition is off by 1e-5 to 1e-3 there, because it must take
roots of eigenvalues that are zero up to rounding. Where both covariances have full rank, symmetric
eigenvalues are the faster way to the same number.
"""

from __future__ import annotations

import numpy as np

from dar_bench.errors import UserError
from dar_bench.metrics.estimate import Estimate, Float64Array, FloatArray, check_features, check_same_width
from dar_bench.metrics.moments import Gaussian, gaussian

Vectors = FloatArray | Gaussian
"""Feature vectors (n, D), or their moments."""


def frechet_distance(first: Vectors, second: Vectors) -> float:
    """Return the squared Frechet distance, in float64; 0 for equal moments up to rounding.

    Args:
        first, second: feature vectors (n, D) or moments, in any mixture. With fewer vectors than dimensions,
            give the vectors: their moments alone cost more time and some digits.

    Raises:
        UserError: different dimensions, fewer than two vectors, or values that are not finite.
    """
    return _distance(_prepare(first, "first set"), _prepare(second, "second set"))


def frechet_estimate(reference: Vectors, samples: FloatArray) -> Estimate:
    """Return the distance with the standard error that comes from drawing the samples.

    The reference is taken as given: it is the yardstick, the same for all models that are compared with it.
    The error is the infinitesimal jackknife (Jaeckel 1972; Efron 1982): the distance is differentiated with
    respect to the weight of every sample, and the spread of these influences gives the error. It needs one
    symmetric eigenvalue problem instead of a recomputation for every resample, has no random numbers, and
    works below full rank. In simulations with Gaussians it agreed with the true spread within about 10 %
    where the distributions differ, and was too large (up to 1.8 times) where they are equal or samples are
    very few: it errs on the safe side. A bootstrap would be off by the upward bias that resampling adds to
    this distance.

    It says nothing about the bias of the distance itself, which falls as 1/n: compare only equal n.
    """
    fixed, drawn = _prepare(reference, "reference"), _prepare(samples, "samples")
    value = _distance(fixed, drawn)
    return Estimate(value=value, stderr=_standard_error(_influences(fixed, drawn)), n=len(samples))


def paired_frechet_estimate(originals: FloatArray, reconstructions: FloatArray) -> Estimate:
    """Return the distance of reconstructions to their originals (rFD) and its standard error.

    Row i of both belongs to the same image, so an image is drawn or not drawn with its reconstruction: the
    influences on both sides are added before their spread is taken.
    """
    one, other = _prepare(originals, "originals"), _prepare(reconstructions, "reconstructions")
    if one.moments.n != other.moments.n:
        raise UserError(
            f"There are {one.moments.n} originals but {other.moments.n} reconstructions.",
            why="Row i of both must belong to the same image.",
        )
    value = _distance(one, other)
    influences = _influences(one, other) + _influences(other, one)
    return Estimate(value=value, stderr=_standard_error(influences), n=len(originals))


class _Prepared:
    """Moments, and the vectors they are of where those are known."""

    def __init__(self, moments: Gaussian, vectors: FloatArray | None):
        self.moments = moments
        self.dimensions = len(moments.mean)
        self.full_rank = moments.n > self.dimensions
        self._vectors = vectors

    def centred(self) -> Float64Array:
        """Return the vectors minus their mean, (n, D)."""
        if self._vectors is None:
            raise ValueError("moments without their vectors")
        centred: Float64Array = self._vectors.astype(np.float64)
        centred -= self.moments.mean
        return centred

    def factor(self) -> Float64Array:
        """Return F with F' F = covariance, of at most D rows."""
        if self._vectors is None:
            return _factor_of_covariance(self.moments)
        centred = self.centred()
        centred /= np.sqrt(self.moments.n - 1)
        if len(centred) <= self.dimensions:
            return centred
        # An orthogonal transformation of the rows changes nothing, and QR keeps the small directions' digits.
        return np.asarray(np.linalg.qr(centred, mode="r"), dtype=np.float64)


def _prepare(vectors: Vectors, what: str) -> _Prepared:
    if isinstance(vectors, Gaussian):
        return _Prepared(vectors, None)
    check_features(vectors, what)
    return _Prepared(gaussian(vectors), vectors)


def _distance(one: _Prepared, other: _Prepared) -> float:
    check_same_width(one.moments.mean[None], other.moments.mean[None])
    shift = one.moments.mean - other.moments.mean
    traces = float(np.trace(one.moments.covariance) + np.trace(other.moments.covariance))
    # Equal moments leave a rounding error of either sign.
    return max(0.0, float(shift @ shift) + traces - 2.0 * _trace_of_root(one, other))


def _trace_of_root(one: _Prepared, other: _Prepared) -> float:
    """Return tr (S1 S2)^(1/2)."""
    if one.full_rank and other.full_rank:
        try:
            lower = np.linalg.cholesky(one.moments.covariance)
        except np.linalg.LinAlgError:
            pass  # Rank lost in spite of enough vectors (a constant feature, duplicates): go the general way.
        else:
            eigenvalues = np.linalg.eigvalsh(lower.T @ other.moments.covariance @ lower)
            # Eigenvalues are exact to a rounding of the largest one; a root taken of one that is smaller than
            # that would be noise of the size 1e-8, and there may be many.
            if eigenvalues[0] > eigenvalues[-1] * len(eigenvalues) * np.finfo(np.float64).eps:
                return float(np.sqrt(eigenvalues).sum())
    singular = np.linalg.svd(one.factor() @ other.factor().T, compute_uv=False)
    return float(singular.sum())


def _factor_of_covariance(moments: Gaussian) -> Float64Array:
    """Return F with F' F = covariance, cut to the rank that n vectors can have."""
    eigenvalues, vectors = np.linalg.eigh(moments.covariance)
    rank = min(moments.n - 1, len(eigenvalues))
    kept = slice(len(eigenvalues) - rank, None)
    roots = np.sqrt(eigenvalues[kept].clip(min=0.0))
    return np.asarray(roots[:, None] * vectors[:, kept].T, dtype=np.float64)


def _influences(fixed: _Prepared, drawn: _Prepared) -> Float64Array:
    """Return the derivative of the distance with respect to the weight of every drawn vector, centred, (n,).

    With weights w (sum 1) the drawn moments are m = sum w x and S = sum w (x - m)(x - m)'. Per unit of
    weight, x moves |m1 - m|^2 by 2 (m - m1)'(x - m), tr S by |x - m|^2, and tr (S1 S)^(1/2), which is the sum
    of singular values of M = F1 X' W^(1/2), by half the diagonal of (M' M)^(1/2) over w.
    """
    centred = drawn.centred()
    n = drawn.moments.n
    shift = drawn.moments.mean - fixed.moments.mean
    matrix = fixed.factor() @ centred.T / np.sqrt(n)
    psi = 2.0 * centred @ shift + (centred**2).sum(axis=1) - n * _diagonal_of_gram_root(matrix)
    return np.asarray(psi - psi.mean(), dtype=np.float64)


def _diagonal_of_gram_root(matrix: Float64Array) -> Float64Array:
    """Return the diagonal of (M' M)^(1/2) for M (r, n), by the eigenvectors of the smaller Gram matrix."""
    rows, columns = matrix.shape
    if columns <= rows:
        eigenvalues, vectors = np.linalg.eigh(matrix.T @ matrix)
        return np.asarray(vectors**2 @ np.sqrt(eigenvalues.clip(min=0.0)), dtype=np.float64)
    eigenvalues, vectors = np.linalg.eigh(matrix @ matrix.T)
    # Directions below the rounding of the largest eigenvalue carry no share of the diagonal.
    kept = eigenvalues > eigenvalues[-1] * rows * np.finfo(np.float64).eps
    projected = vectors[:, kept].T @ matrix
    return np.asarray((projected**2 / np.sqrt(eigenvalues[kept])[:, None]).sum(axis=0), dtype=np.float64)


def _standard_error(influences: Float64Array) -> float:
    n = len(influences)
    return float(np.sqrt((influences**2).sum() / (n * (n - 1))))
