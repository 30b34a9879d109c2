from __future__ import annotations

import numpy as np
import pytest

from dar_bench.errors import UserError
from dar_bench.metrics.moments import Gaussian, MomentAccumulator, gaussian


def vectors(n: int, dimensions: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, dimensions)).astype(np.float32)


def test_equals_numpy() -> None:
    x = vectors(501, 7)
    moments = gaussian(x)
    np.testing.assert_allclose(moments.mean, x.astype(np.float64).mean(axis=0), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(moments.covariance, np.cov(x.astype(np.float64).T), rtol=1e-12, atol=1e-14)
    assert moments.n == 501
    assert moments.covariance.dtype == np.float64


@pytest.mark.parametrize("cuts", [[1, 2], [100], [7, 300, 301]])
def test_a_stream_of_batches_and_merged_parts_equal_the_whole(cuts: list[int]) -> None:
    x = vectors(401, 5)
    whole = gaussian(x)
    stream, merged = MomentAccumulator(5), MomentAccumulator(5)
    for batch in np.split(x, cuts):
        stream.add(batch)
        part = MomentAccumulator(5)
        part.add(batch)
        merged.merge(part)
    for found in (stream.gaussian(), merged.gaussian()):
        np.testing.assert_allclose(found.mean, whole.mean, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(found.covariance, whole.covariance, rtol=1e-12, atol=1e-14)
        assert found.n == 401


def test_a_mean_far_from_zero_costs_no_digits() -> None:
    x = vectors(1000, 4).astype(np.float64)
    shifted = MomentAccumulator(4)
    for batch in np.split(x + 1e6, 10):
        shifted.add(batch)
    # Summing raw products would leave an error near 1e12 x 1e-16 = 1e-4.
    np.testing.assert_allclose(shifted.gaussian().covariance, np.cov(x.T), atol=1e-8)


def test_nothing_is_added_by_empty_parts() -> None:
    moments = MomentAccumulator(3)
    moments.merge(MomentAccumulator(3))
    moments.add(np.zeros((0, 3)))
    assert moments.n == 0
    moments.add(vectors(10, 3))
    moments.merge(MomentAccumulator(3))
    np.testing.assert_allclose(moments.gaussian().covariance, gaussian(vectors(10, 3)).covariance, rtol=1e-12)


def test_too_few_vectors_are_refused() -> None:
    moments = MomentAccumulator(3)
    moments.add(vectors(1, 3))
    with pytest.raises(UserError, match="Too few images: 1"):
        moments.gaussian()


@pytest.mark.parametrize(
    ("mean", "covariance"),
    [
        (np.zeros(3), np.zeros((2, 2))),
        (np.zeros(2), np.full((2, 2), np.nan)),
        (np.zeros((2, 2)), np.zeros((2, 2))),
    ],
)
def test_moments_that_do_not_fit_are_refused(mean: np.ndarray, covariance: np.ndarray) -> None:
    with pytest.raises(UserError):
        Gaussian(mean=mean, covariance=covariance, n=10)
