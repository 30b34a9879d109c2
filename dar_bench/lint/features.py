"""What finished features tell: order by class, short runs, rank, copies, values that are not finite."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from dar_bench.lint.findings import Finding, finding

if TYPE_CHECKING:
    from dar_bench.features.base import Features

LOSS = 0.97
"""The order is reported where it costs ADM's inception score more than 3 %, and more than chance could."""

_DEVIATIONS = 4.0
_SHUFFLES = 4
_ROWS = 4096


def check_features(features: Features, *, split: int, copies: bool = True) -> list[Finding]:
    """Judge the features of all samples, in file order.

    Args:
        split: samples in a run of ADM's inception score.
        copies: whether equal rows are reported as duplicates.
    """
    bad = int(np.count_nonzero(~np.isfinite(features.pool).all(axis=1)))
    if bad:
        seen = f"The features of {bad:,} of {len(features):,} images hold NaN or infinity."
        return [finding("not-finite", seen, images=bad)]
    found = _rank(features)
    if copies:
        found += _copies(features.pool)
    if features.probabilities is not None and np.isfinite(features.probabilities).all():
        found += _inception_order(features.probabilities, split)
    return found


def _rank(features: Features) -> list[Finding]:
    n, dimensions = features.pool.shape
    if n > dimensions:
        return []
    return [
        finding(
            "rank-deficient",
            f"{n:,} images for {dimensions:,} feature dimensions of {features.extractor}: the covariance has "
            f"at most rank {n - 1:,}.",
            images=n,
            dimensions=dimensions,
        )
    ]


def _copies(pool: NDArray[np.float32]) -> list[Finding]:
    rows = {row.tobytes() for row in pool}
    extra = len(pool) - len(rows)
    if not extra:
        return []
    return [
        finding(
            "duplicates",
            f"{extra:,} of {len(pool):,} images have exactly the features of another one.",
            copies=extra,
            images=len(pool),
        )
    ]


def _inception_order(probabilities: NDArray[np.float32], split: int) -> list[Finding]:
    n = len(probabilities)
    if n <= split:
        return []
    own = np.concatenate(
        [
            xlogy(rows, rows).sum(axis=1)
            for start in range(0, n, _ROWS)
            for rows in [probabilities[start : start + _ROWS].astype(np.float64)]
        ]
    )
    in_order = _split_scores(probabilities, own, np.arange(n), split)
    random = np.random.default_rng(0)
    shuffles = [_split_scores(probabilities, own, random.permutation(n), split) for _ in range(_SHUFFLES)]
    shuffled = float(np.mean([scores.mean() for scores in shuffles]))
    # The deviation between whole runs is what chance does to one of them.
    whole = np.concatenate([scores[: n // split] for scores in shuffles])
    noise = float(whole.std(ddof=1)) / math.sqrt(n // split) if len(whole) > 1 else 0.0
    score = float(in_order.mean())
    found = []
    if score < LOSS * shuffled and shuffled - score > _DEVIATIONS * noise:
        order_free = float(_split_scores(probabilities, own, np.arange(n), n)[0])
        found.append(
            finding(
                "class-sorted",
                f"In file order ADM's inception score is {score:.2f}, shuffled {shuffled:.2f}: neighbouring "
                "files show the same classes.",
                effect=f"The score falls by a factor of {shuffled / score:.2f}; in one split, whatever the "
                f"order, it is {order_free:.2f}. FID, precision and recall do not move.",
                in_order=score,
                shuffled=shuffled,
                order_free=order_free,
            )
        )
    rest = n % split
    if rest:
        with_rest, without = shuffled, float(np.mean([scores[:-1].mean() for scores in shuffles]))
        found.append(
            finding(
                "short-split",
                f"{n:,} samples leave a last run of {rest:,} after {n // split} of {split:,}.",
                effect=f"With the short run ADM's inception score is {with_rest:.2f}, without it {without:.2f} "
                "(shuffled).",
                last_run=rest,
                with_short_run=with_rest,
                without=without,
            )
        )
    return found


def _split_scores(
    probabilities: NDArray[np.float32], own: NDArray[np.float64], order: NDArray[np.int64], split: int
) -> NDArray[np.float64]:
    """Return the inception score of every run of an order.

    Args:
        own: sum of p log p of every row, which no order changes.
    """
    scores = []
    for start in range(0, len(order), split):
        rows = order[start : start + split]
        average = probabilities[rows].mean(axis=0, dtype=np.float64)
        scores.append(math.exp(float(own[rows].mean() - xlogy(average, average).sum())))
    return np.asarray(scores)
