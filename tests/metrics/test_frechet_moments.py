from __future__ import annotations

import numpy as np
import pytest

from dar_bench.errors import UserError
from dar_bench.metrics.frechet import frechet_estimate
from dar_bench.metrics.frechet_moments import frechet_moments_estimate, known_count
from dar_bench.metrics.moments import Gaussian, gaussian


def mixed(n: int, seed: int, shift: float, scale: float) -> np.ndarray:
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(7).normal(size=(6, 6))
    return random.normal(size=(n, 6)) @ mixing * scale + shift


def test_of_gaussian_samples_it_is_the_error_that_the_features_themselves_tell() -> None:
    reference = gaussian(mixed(4000, 0, 0.0, 1.0))
    samples = mixed(40_000, 1, 0.2, 1.3)
    expected = frechet_estimate(reference, samples)
    found = frechet_moments_estimate(reference, gaussian(samples))
    assert found.value == pytest.approx(expected.value, rel=1e-9)
    # The error of the features is an estimate from 40,000 influences, whose fourth moments spread it by about
    # 1 %; three of these spreads.
    assert found.stderr == pytest.approx(expected.stderr, rel=0.03)


def test_by_hand_in_one_dimension() -> None:
    # d = (m - m1)^2 + (s - s1)^2; the delta method gives 4 d^2 s^2 / n + 2 (s - s1)^2 s^2 / n.
    reference = Gaussian(mean=np.array([1.0]), covariance=np.array([[4.0]]), n=50)
    samples = Gaussian(mean=np.array([4.0]), covariance=np.array([[9.0]]), n=100)
    found = frechet_moments_estimate(reference, samples)
    assert found.value == pytest.approx(9.0 + 1.0)
    assert found.stderr == pytest.approx(np.sqrt((4 * 9 * 9 + 2 * 1 * 9) / 100))


def test_below_full_rank_it_stays_finite() -> None:
    few = np.random.default_rng(0).normal(size=(4, 6))
    found = frechet_moments_estimate(gaussian(few), gaussian(mixed(500, 1, 0.0, 1.0)))
    assert np.isfinite(found.stderr) and found.stderr > 0
    assert np.isfinite(frechet_moments_estimate(gaussian(mixed(500, 1, 0.0, 1.0)), gaussian(few)).stderr)


def test_an_unknown_count_is_refused() -> None:
    moments = gaussian(mixed(50, 0, 0.0, 1.0))
    assert known_count("s", moments, 70).n == 70
    with pytest.raises(UserError, match="'s' do not say how many images"):
        known_count("s", moments, 0)
