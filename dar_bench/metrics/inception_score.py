"""Inception score: exp of the mean divergence of an image's class distribution from the average one.

    IS = exp( mean_i sum_c p_ic (log p_ic - log q_c) ),  q = mean_i p_i

(Salimans et al. 2016.) The ADM evaluator splits the samples into runs of 5,000 in file order and averages
the splits' scores, so its value depends on the order: samples sorted by class lose most of it. The order-free
value, one split over everything, is computed beside.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from dar_bench.metrics.estimate import Estimate, Float64Array, FloatArray, check_features

ADM_SPLIT = 5000
"""Images per split in the ADM evaluator; the last split is shorter where n is no multiple."""


@dataclass(frozen=True, kw_only=True)
class InceptionScore:
    """Both readings of the score.

    Attributes:
        split: mean over splits in file order, as the ADM evaluator prints it.
        split_scores: the score of every split, in order.
        order_free: the score of all samples as one split.
    """

    split: Estimate
    split_scores: tuple[float, ...]
    order_free: Estimate

    @property
    def split_std(self) -> float:
        """Standard deviation over the splits (divisor the number of splits, as published tables use)."""
        return float(np.std(self.split_scores))


def inception_score(probabilities: FloatArray, *, split_size: int = ADM_SPLIT) -> InceptionScore:
    """Return the score of class probabilities (n, C), rows summing to 1, in float64.

    A probability of zero contributes zero (the limit of x log x). Standard errors come from the influence of
    every image on the logarithm of its split's score, which is its own divergence from the average.

    Raises:
        UserError: fewer than two rows, or values that are not finite.
    """
    check_features(probabilities, "samples")
    rows = probabilities.astype(np.float64)
    parts = [_one_split(rows[start : start + split_size]) for start in range(0, len(rows), split_size)]
    scores = tuple(score for score, _ in parts)
    error = math.sqrt(sum(stderr**2 for _, stderr in parts)) / len(parts)
    whole_score, whole_error = parts[0] if len(parts) == 1 else _one_split(rows)
    return InceptionScore(
        split=Estimate(value=float(np.mean(scores)), stderr=error, n=len(rows)),
        split_scores=scores,
        order_free=Estimate(value=whole_score, stderr=whole_error, n=len(rows)),
    )


def divergences(probabilities: FloatArray) -> Float64Array:
    """Return the Kullback-Leibler divergence of every row of (n, C) from the mean row, (n,), in float64."""
    rows = probabilities.astype(np.float64)
    average = rows.mean(axis=0)
    # A class that the mean gives 0 has 0 in every row and adds nothing.
    used = average > 0
    return np.asarray(xlogy(rows, rows).sum(axis=1) - rows[:, used] @ np.log(average[used]), dtype=np.float64)


def _one_split(rows: Float64Array) -> tuple[float, float]:
    """Return the score of one split and its standard error."""
    n = len(rows)
    divergence = divergences(rows)
    score = math.exp(float(divergence.mean()))
    if n == 1:
        return score, 0.0  # A split of one image scores 1 whatever the image.
    return score, score * float(divergence.std(ddof=1)) / math.sqrt(n)
