"""Rules on finished features."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dar_bench.features.base import Features
from dar_bench.lint import Expectations, SampleLint
from dar_bench.metrics.inception_score import inception_score

Array = NDArray[np.float32]


def predictions(labels: NDArray[np.int64], classes: int, seed: int = 0) -> Array:
    """Class probabilities of a classifier that is mostly right."""
    logits = np.random.default_rng(seed).normal(size=(len(labels), classes))
    logits[np.arange(len(labels)), labels] += 4.0
    rows = np.exp(logits)
    return (rows / rows.sum(axis=1, keepdims=True)).astype(np.float32)


def features(probabilities: Array | None, n: int = 0, dimensions: int = 8) -> Features:
    n = n if probabilities is None else len(probabilities)
    pool = np.random.default_rng(1).normal(size=(n, dimensions)).astype(np.float32)
    return Features(pool=pool, probabilities=probabilities, extractor="toy", fingerprint="toy")


def lint(of: Features, **expect: int | None) -> list[tuple[str, dict[str, float | int | str]]]:
    found = SampleLint(Expectations(**{"count": None, **expect})).findings(of)  # type: ignore[arg-type]
    return [(one.rule, dict(one.numbers)) for one in found]


LABELS = np.repeat(np.arange(40), 100)


def test_shuffled_predictions_pass() -> None:
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(len(LABELS))
        assert lint(features(predictions(LABELS[order], 40, seed)), split=500) == []


def test_sorted_predictions_are_found_with_the_scores_that_they_change() -> None:
    sorted_rows = predictions(LABELS, 40)
    ((rule, numbers),) = lint(features(sorted_rows), split=500)
    assert rule == "class-sorted"
    scores = inception_score(sorted_rows, split_size=500)
    assert numbers["in_order"] == pytest.approx(scores.split.value, rel=1e-9)
    assert numbers["order_free"] == pytest.approx(scores.order_free.value, rel=1e-9)
    shuffled = sorted_rows[np.random.default_rng(9).permutation(len(sorted_rows))]
    expected = inception_score(shuffled, split_size=500)
    assert numbers["shuffled"] == pytest.approx(expected.split.value, abs=4 * expected.split.stderr)


def test_labels_and_predictions_report_the_order_once() -> None:
    watcher = SampleLint(Expectations(count=None, split=500))
    watcher.set_labels(LABELS)
    found = watcher.findings(features(predictions(LABELS, 40)))
    assert [one.rule for one in found] == ["class-sorted"]
    assert "in_order" in found[0].numbers


def test_a_short_last_run_is_found_with_what_it_costs() -> None:
    order = np.random.default_rng(0).permutation(len(LABELS))
    rows = predictions(LABELS[order], 40)[:3501]
    ((rule, numbers),) = lint(features(rows), split=500)
    assert rule == "short-split"
    assert numbers["last_run"] == 1
    # Seven runs and one of a single image, which scores 1.
    with_it, without = float(numbers["with_short_run"]), float(numbers["without"])
    assert with_it == pytest.approx((7 * without + 1) / 8, rel=1e-9)


def test_fewer_samples_than_dimensions() -> None:
    assert lint(features(None, n=9, dimensions=8)) == []
    assert lint(features(None, n=8, dimensions=8)) == [("rank-deficient", {"images": 8, "dimensions": 8})]


def test_features_that_are_not_finite_hide_nothing_else_behind_nan() -> None:
    broken = features(None, n=20)
    broken.pool[4, 2] = np.nan
    assert lint(broken) == [("not-finite", {"images": 1})]


def test_copies_are_found_in_features_where_no_pixels_were_seen() -> None:
    doubled = features(None, n=20)
    doubled.pool[4] = doubled.pool[3]
    assert lint(doubled) == [("duplicates", {"copies": 1, "images": 20})]


def test_the_count_of_features_counts() -> None:
    assert [rule for rule, _ in lint(features(None, n=20), count=50)] == ["sample-count"]
