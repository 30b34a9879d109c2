"""Mean and covariance of features, gathered as a stream in float64."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dar_bench.errors import UserError
from dar_bench.metrics.estimate import Float64Array, FloatArray, check_features


@dataclass(frozen=True, kw_only=True, eq=False)
class Gaussian:
    """First two moments of n feature vectors.

    Attributes:
        mean: float64 (D,).
        covariance: float64 (D, D), with the divisor n - 1 as every FID implementation uses it.
        n: how many vectors they are of; the covariance has at most rank n - 1.
    """

    mean: Float64Array
    covariance: Float64Array
    n: int

    def __post_init__(self) -> None:
        dimensions = len(self.mean)
        if self.mean.ndim != 1 or self.covariance.shape != (dimensions, dimensions):
            raise UserError(
                f"Mean {self.mean.shape} and covariance {self.covariance.shape} do not belong together."
            )
        if not (np.isfinite(self.mean).all() and np.isfinite(self.covariance).all()):
            raise UserError("The mean or covariance holds NaN or infinity.")


class MomentAccumulator:
    """Gathers the moments of a stream of feature batches; parts made apart merge to the same result.

    Every batch is centred on its own mean before its products are summed, and merged by the pairwise update
    of Chan, Golub and LeVeque (1983), so that nothing cancels however far the mean lies from zero.

    Args:
        dimensions: D.
    """

    def __init__(self, dimensions: int):
        self.n = 0
        self._mean = np.zeros(dimensions)
        self._scatter = np.zeros((dimensions, dimensions))

    def add(self, features: FloatArray) -> None:
        """Take a batch, (b, D) of any float type."""
        rows = features.astype(np.float64)
        if len(rows):
            mean = rows.mean(axis=0)
            rows -= mean
            self._combine(len(rows), mean, rows.T @ rows)

    def merge(self, other: MomentAccumulator) -> None:
        """Take everything that ``other`` has gathered."""
        if other.n:
            self._combine(other.n, other._mean, other._scatter)

    def gaussian(self) -> Gaussian:
        """Return the moments of all that was added.

        Raises:
            UserError: fewer than two vectors.
        """
        if self.n < 2:
            raise UserError(f"Too few images: {self.n}, at least 2 are needed for a covariance.")
        return Gaussian(mean=self._mean.copy(), covariance=self._scatter / (self.n - 1), n=self.n)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what was gathered as arrays (``n``, ``mean``, ``scatter``), to be kept and restored."""
        return {"n": np.array(self.n), "mean": self._mean.copy(), "scatter": self._scatter.copy()}

    @classmethod
    def of_state(cls, state: Mapping[str, npt.NDArray[Any]]) -> MomentAccumulator:
        """Return an accumulator that goes on from a state."""
        restored = cls(len(state["mean"]))
        restored.n = int(state["n"])
        restored._mean = state["mean"].astype(np.float64)
        restored._scatter = state["scatter"].astype(np.float64)
        return restored

    def _combine(self, n: int, mean: Float64Array, scatter: Float64Array) -> None:
        total = self.n + n
        shift = mean - self._mean
        self._scatter += scatter
        self._scatter += np.outer(shift, shift) * (self.n * n / total)
        self._mean += shift * (n / total)
        self.n = total


def gaussian(features: FloatArray) -> Gaussian:
    """Return mean and covariance of ``features`` (n, D)."""
    check_features(features, "features")
    moments = MomentAccumulator(features.shape[1])
    # Bounded blocks: the float64 copy of a block and not of the whole set.
    for start in range(0, len(features), 4096):
        moments.add(features[start : start + 4096])
    return moments.gaussian()
