"""How much of the samples lies in the data's manifold and the reverse, by k-nearest-neighbour balls.

Precision and recall after Kynkaanniemi et al. (2019): a set's manifold is the union of balls around its
points, each as wide as the distance to the point's k-th nearest neighbour in the set. As in the ADM
evaluator, distances are squared, a point on a ball's surface is inside (<=), and k = 3. Density and coverage
after Naeem et al. (2020), with their k = 5 and the same rule for the surface.

There are two forms, which are not compared: ``float32`` distances of centred features, and ``adm-float16``, what the
ADM evaluator computes; see ``distances``. Its float16 moves the numbers by points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from dar_bench.errors import UserError
from dar_bench.metrics.distances import TILE, Arithmetic, prepare, tiles
from dar_bench.metrics.estimate import (
    Estimate,
    FloatArray,
    check_features,
    check_same_width,
    mean_estimate,
    proportion_estimate,
)
from dar_bench.metrics.near_pairs import near_pairs, nearest

PRECISION_K = 3
DENSITY_K = 5
BLOCK_BYTES = 128 << 20
"""Memory of the distances held at once; the whole matrix never exists."""


@dataclass(frozen=True, kw_only=True)
class ManifoldScores:
    """The four scores.

    Attributes:
        precision: share of the samples inside the reference's manifold.
        recall: share of the reference inside the samples' manifold.
        density: mean number of reference balls that a sample lies in, over k; can exceed 1.
        coverage: share of the reference whose ball holds a sample.

    Errors of precision and density take the reference's balls as given: binomial, and standard error of the mean,
    over samples. Those of recall and coverage have two parts: the binomial one over reference points, and the
    jackknife one over samples, for another set of samples would cover other points. A point that a single sample
    covers is lost with it (that the other samples' balls would then grow a little is left out).
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
    arithmetic: Arithmetic = "float32",
) -> ManifoldScores:
    """Return precision, recall, density and coverage of two sets of features, (n, D) and (m, D).

    Only distances that may decide something are computed, see ``near_pairs``; the scores are those of all distances.
    Beside the features it needs at most two copies of them (half of one to one in ``adm-float16``) and ``block_bytes``.

    Args:
        reference, samples: features of both sets.
        k: neighbours for precision and recall.
        density_k: neighbours for density and coverage.
        block_bytes: bound on the distances held at once.
        arithmetic: of the distances.

    Raises:
        UserError: a set has no more than k points, the dimensions differ, or values are not finite.
    """
    most = max(k, density_k)
    if k < 1 or density_k < 1:
        raise UserError(f"The number of neighbours must be at least 1, got {min(k, density_k)}.")
    check_features(reference, "reference", minimum=most + 1)
    check_features(samples, "samples", minimum=most + 1)
    check_same_width(reference, samples)
    size = max(1, min(TILE, int((block_bytes / 64) ** 0.5)))  # sixteen arrays of float32 at most
    with torch.inference_mode():
        real, fake = prepare(reference, samples, arithmetic=arithmetic)
        real_near = nearest(real, most + 1, size=size)
        # A point's distance to itself comes first, so the k-th neighbour has index k.
        real_radii, density_radii = (real_near.smallest(number) for number in (k, density_k))
        fake_radii = nearest(fake, k + 1, size=size).smallest(k)
        widest = torch.maximum(real_radii, density_radii)
        precise = torch.zeros(len(fake), dtype=torch.bool)
        recalled, covered = _Cover(len(real)), _Cover(len(real))
        balls = torch.zeros(len(fake), dtype=torch.int64)
        for tile in tiles(real, fake, size=size):
            pairs = near_pairs(real, fake, tile, widest[tile.rows], fake_radii[tile.columns])
            rows, columns, distances = pairs.rows, pairs.columns, pairs.forward
            precise[columns[distances <= real_radii[rows]]] = True
            inside = distances <= fake_radii[columns]
            recalled.add(rows[inside], columns[inside])
            inside = distances <= density_radii[rows]
            balls += columns[inside].bincount(minlength=len(fake))
            covered.add(rows[inside], columns[inside])
    return ManifoldScores(
        precision=proportion_estimate(precise.numpy()),
        recall=recalled.estimate(len(fake)),
        density=mean_estimate(balls.numpy() / density_k),
        coverage=covered.estimate(len(fake)),
    )


class _Cover:
    """Which points are covered by at least one sample, and which of them by a single one.

    Args:
        count: points.
    """

    def __init__(self, count: int):
        self._times = torch.zeros(count, dtype=torch.int64)
        self._last = torch.zeros(count, dtype=torch.int64)

    def add(self, points: torch.Tensor, samples: torch.Tensor) -> None:
        """Take pairs (m,) of a point and a sample that covers it."""
        self._last[points] = samples  # of a point covered once, the only one
        self._times += points.bincount(minlength=len(self._times))

    def estimate(self, samples: int) -> Estimate:
        """Return the share of covered points."""
        times, last = self._times.numpy(), self._last.numpy()
        alone = np.bincount(last[times == 1], minlength=samples) / len(times)
        variance = (samples - 1) / samples * float(((alone - alone.mean()) ** 2).sum())
        return proportion_estimate(times > 0, variance=variance)
