from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from dar_bench.errors import UserError
from dar_bench.metrics.inception_score import inception_score

Array = npt.NDArray[np.float64]


def one_hot(labels: npt.NDArray[np.int64], classes: int) -> Array:
    return np.eye(classes)[labels]


def dirichlet(n: int, classes: int, seed: int = 0, concentration: float = 0.1) -> Array:
    return np.random.default_rng(seed).dirichlet(np.full(classes, concentration), size=n)


def test_certain_and_balanced_predictions_score_the_number_of_classes() -> None:
    """Zeros contribute zero: no NaN from 0 log 0."""
    score = inception_score(one_hot(np.arange(40) % 10, 10))
    assert score.split.value == pytest.approx(10.0, rel=1e-12)
    assert score.order_free.value == pytest.approx(10.0, rel=1e-12)
    assert score.split.stderr == pytest.approx(0.0, abs=1e-12)


def test_equal_predictions_score_one() -> None:
    assert inception_score(np.full((20, 4), 0.25)).split.value == pytest.approx(1.0, rel=1e-12)


def test_unused_classes_do_not_matter() -> None:
    used = dirichlet(50, 6)
    padded = np.hstack([used, np.zeros((50, 3))])
    assert inception_score(padded).split.value == pytest.approx(inception_score(used).split.value, rel=1e-12)


def test_equals_the_formula() -> None:
    p = dirichlet(200, 5, concentration=1.0)
    q = p.mean(axis=0)
    expected = np.exp((p * (np.log(p) - np.log(q))).sum(axis=1).mean())
    assert inception_score(p).order_free.value == pytest.approx(expected, rel=1e-12)


def test_splits_are_taken_in_file_order() -> None:
    """Samples sorted by class lose the score of the ADM reading and keep that of the order-free one."""
    labels = np.arange(100) % 10
    shuffled = inception_score(one_hot(labels, 10), split_size=20)
    in_order = inception_score(one_hot(np.sort(labels), 10), split_size=20)
    assert shuffled.split.value == pytest.approx(10.0)
    assert in_order.split.value == pytest.approx(2.0)
    assert in_order.order_free.value == pytest.approx(10.0)
    assert in_order.split_scores == pytest.approx((2.0,) * 5)


def test_a_last_short_split_counts_like_a_whole_one() -> None:
    """As in the ADM evaluator: 21 images in splits of 20 average a score of 10 and one of 1."""
    labels = np.arange(21) % 10
    score = inception_score(one_hot(labels, 10), split_size=20)
    assert score.split_scores == pytest.approx((10.0, 1.0))
    assert score.split.value == pytest.approx(5.5)
    assert score.split_std == pytest.approx(4.5)


def test_standard_errors_match_the_spread_of_repeated_draws() -> None:
    values, errors, split_values, split_errors = [], [], [], []
    for seed in range(300):
        score = inception_score(dirichlet(400, 8, seed=seed, concentration=0.3), split_size=100)
        values.append(score.order_free.value)
        errors.append(score.order_free.stderr)
        split_values.append(score.split.value)
        split_errors.append(score.split.stderr)
    # 300 draws know the spread to 4 %.
    assert np.mean(errors) / np.std(values) == pytest.approx(1.0, abs=0.16)
    assert np.mean(split_errors) / np.std(split_values) == pytest.approx(1.0, abs=0.16)


def test_bad_probabilities_are_refused() -> None:
    with pytest.raises(UserError, match="not finite for 1 of 3"):
        inception_score(np.array([[0.5, 0.5], [np.nan, 0.5], [1.0, 0.0]]))
    with pytest.raises(UserError, match="hold 1"):
        inception_score(np.ones((1, 2)))
