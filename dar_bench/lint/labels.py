"""What the labels of a set tell: whether classes come in runs, and whether they come equally often."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from dar_bench.lint.findings import Finding, finding

LOSS = 0.95
"""The order is reported where it would cost ADM's inception score more than 5 %."""

IMPROBABLE = 1e-4
"""Chance with which labels that are drawn evenly would be called imbalanced."""

_SHUFFLES = 4


def check_labels(
    labels: NDArray[np.int64], *, split: int, classes: int | None = None, order: bool = True
) -> list[Finding]:
    """Judge the labels of all samples in file order, int64 (n,).

    Args:
        split: samples in a run of ADM's inception score.
        classes: how many there are; the highest label and one where it is not known.
        order: whether the order is judged too.
    """
    counts = np.bincount(labels, minlength=classes or 0)
    found = _balance(counts)
    if order:
        found += _order(labels, split)
    return found


def _balance(counts: NDArray[np.int64]) -> list[Finding]:
    n, classes = int(counts.sum()), len(counts)
    if classes < 2 or n < 2 * classes:
        return []  # Fewer than two expected of a class: the statistic's distribution is not known.
    expected = n / classes
    statistic = float(((counts - expected) ** 2 / expected).sum())
    chance = float(chi2.sf(statistic, classes - 1))
    if chance >= IMPROBABLE:
        return []
    rarely = f"{chance:.1g}" if chance > 0 else "less than 1e-300"
    absent = int((counts == 0).sum())
    return [
        finding(
            "label-imbalance",
            f"{classes} classes come {int(counts.min())} to {int(counts.max())} times, {expected:.1f} on "
            f"average{f', {absent} never' if absent else ''}: chi-square {statistic:.1f} with "
            f"{classes - 1} degrees of freedom, which even drawing exceeds with probability {rarely}.",
            chi_square=statistic,
            classes=classes,
            fewest=int(counts.min()),
            most=int(counts.max()),
            absent=absent,
        )
    ]


def _order(labels: NDArray[np.int64], split: int) -> list[Finding]:
    if len(labels) <= split:
        return []  # One run: the order cannot matter.
    in_order = _mean_entropy(labels, split)
    random = np.random.default_rng(0)
    shuffled = float(np.mean([_mean_entropy(random.permutation(labels), split) for _ in range(_SHUFFLES)]))
    factor = math.exp(in_order - shuffled)
    if factor >= LOSS:
        return []
    runs = 1 + int(np.count_nonzero(np.diff(labels)))
    classes = len(np.unique(labels))
    return [
        finding(
            "class-sorted",
            f"The {len(labels):,} labels of {classes} classes come in {runs:,} runs of equal ones; a run of "
            f"{split:,} files holds {math.exp(in_order):.0f} classes' worth of variety where a shuffled one "
            f"holds {math.exp(shuffled):.0f}.",
            effect=f"ADM's inception score falls by a factor of up to {1 / factor:.1f}, the order-free score "
            "not at all.",
            runs=runs,
            classes=classes,
            factor=factor,
        )
    ]


def _mean_entropy(labels: NDArray[np.int64], split: int) -> float:
    """Return the entropy of the labels of a run in nats, averaged over the runs."""
    entropies = []
    for start in range(0, len(labels), split):
        counts = np.bincount(labels[start : start + split])
        shares = counts[counts > 0] / counts.sum()
        entropies.append(float(-(shares * np.log(shares)).sum()))
    return float(np.mean(entropies))
