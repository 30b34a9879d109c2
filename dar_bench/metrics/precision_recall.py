"""How much of the samples lies in the data's manifold and the reverse, by k-nearest-neighbour balls.

Precision and recall after Kynkaanniemi et al. (2019): a set's manifold is the union of balls around its
points, each as wide as the distance to the point's k-th nearest neighbour in the set. As in the ADM
evaluator, distances are squared, a point on a ball's surface is inside (<=), and k = 3. Density and coverage
after Naeem et al. (2020), with their k = 5 and the same rule for the surface.

This is the precise form: float32 distances of centred features. ADM computes them in float16, which moves its
numbers by points; the two are not compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dar_bench.errors import UserError
from dar_bench.metrics.estimate import (
    Estimate,
    FloatArray,
    check_features,
    check_same_width,
    mean_estimate,
    proportion_estimate,
)

PRECISION_K = 3
DENSITY_K = 5
BLOCK_BYTES = 128 << 20
"""Memory of one block of the distance matrix; the whole matrix never exists."""

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class ManifoldScores:
    """The four scores.

    Attributes:
        precision: share of the samples inside the reference's manifold.
        recall: share of the reference inside the samples' manifold.
        density: mean number of reference balls that a sample lies in, over k; can exceed 1.
        coverage: share of the reference whose ball holds a sample.

    Errors take the other set's balls as given: binomial over samples (precision) or reference points (recall,
    coverage), standard error of the mean for density.
    """

    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate


def manifold_scores(
    reference: FloatArray,
    samples: FloatArray,
    *,
    k: int = PRECISION_K,
    density_k: int = DENSITY_K,
    block_bytes: int = BLOCK_BYTES,
) -> ManifoldScores:
    """Return precision, recall, density and coverage of two sets of features, (n, D) and (m, D).

    Args:
        reference, samples: features of both sets.
        k: neighbours for precision and recall.
        density_k: neighbours for density and coverage.
        block_bytes: bound on the distances held at once.

    Raises:
        UserError: a set has no more than k points, the dimensions differ, or values are not finite.
    """
    most = max(k, density_k)
    if k < 1 or density_k < 1:
        raise UserError(f"The number of neighbours must be at least 1, got {min(k, density_k)}.")
    check_features(reference, "reference", minimum=most + 1)
    check_features(samples, "samples", minimum=most + 1)
    check_same_width(reference, samples)
    # Distances do not change when both sets move; around the origin their float32 differences lose least.
    centre = reference.mean(axis=0, dtype=np.float64)
    real = (reference.astype(np.float64) - centre).astype(np.float32)
    fake = (samples.astype(np.float64) - centre).astype(np.float32)

    real_radii = _radii(real, (k, density_k), block_bytes)
    fake_radii = _radii(fake, (k,), block_bytes)
    precise = np.zeros(len(fake), dtype=bool)
    recalled = np.zeros(len(real), dtype=bool)
    covered = np.zeros(len(real), dtype=bool)
    balls = np.zeros(len(fake), dtype=np.int64)
    for rows, distances in _distance_blocks(fake, real, block_bytes):
        precise[rows] = (distances <= real_radii[k]).any(axis=1)
        recalled |= (distances <= fake_radii[k][rows, None]).any(axis=0)
        inside = distances <= real_radii[density_k]
        balls[rows] = inside.sum(axis=1)
        covered |= inside.any(axis=0)
    return ManifoldScores(
        precision=proportion_estimate(precise),
        recall=proportion_estimate(recalled),
        density=mean_estimate(balls / density_k),
        coverage=proportion_estimate(covered),
    )


def _radii(points: Float32Array, ks: tuple[int, ...], block_bytes: int) -> dict[int, Float32Array]:
    """Return for each k the squared distance of every point to its k-th nearest other point."""
    radii = {k: np.empty(len(points), dtype=np.float32) for k in ks}
    for rows, distances in _distance_blocks(points, points, block_bytes):
        # A point's distance to itself is 0 and comes first, so the k-th neighbour has index k.
        distances[np.arange(len(distances)), np.arange(rows.start, rows.stop)] = 0.0
        ordered = np.partition(distances, ks, axis=1)
        for k in ks:
            radii[k][rows] = ordered[:, k]
    return radii


def _distance_blocks(
    left: Float32Array, right: Float32Array, block_bytes: int
) -> Iterator[tuple[slice, Float32Array]]:
    """Yield (rows of ``left``, squared distances of those to all of ``right``) within the memory bound."""
    size = max(1, block_bytes // (4 * len(right)))
    right_norms = np.einsum("ij,ij->i", right, right)
    for start in range(0, len(left), size):
        block = left[start : start + size]
        distances = block @ right.T
        distances *= -2.0
        distances += np.einsum("ij,ij->i", block, block)[:, None]
        distances += right_norms
        np.maximum(distances, 0.0, out=distances)
        yield slice(start, start + len(block)), distances
