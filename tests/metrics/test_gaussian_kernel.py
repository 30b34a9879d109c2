from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics.pairwise import rbf_kernel

from dar_bench.errors import UserError
from dar_bench.metrics.gaussian_kernel import SCALE, SIGMA, gaussian_mmd, unit_length

Array = npt.NDArray[np.float64]


def points(n: int, seed: int, shift: float = 0.0, dimensions: int = 12) -> Array:
    return np.random.default_rng(seed).normal(size=(n, dimensions)) + shift


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("sigma", [10.0, 1.5])
def test_agrees_with_a_kernel_of_another_library(unbiased: bool, sigma: float) -> None:
    x, y = points(1100, 0), points(70, 1, 0.5)
    gamma = 1 / (2 * sigma**2)
    xx, yy, xy = rbf_kernel(x, x, gamma), rbf_kernel(y, y, gamma), rbf_kernel(x, y, gamma)
    if unbiased:
        for kernel in (xx, yy):
            np.fill_diagonal(kernel, np.nan)
    expected = 1000 * (np.nanmean(xx) + np.nanmean(yy) - 2 * xy.mean())
    found = gaussian_mmd(x, y, sigma=sigma, unbiased=unbiased)
    assert found.value == pytest.approx(expected, rel=1e-9)
    assert found.n == 70


def test_the_published_width_and_factor_are_the_default() -> None:
    x, y = np.array([[0.0], [0.0]]), np.array([[3.0], [3.0]])
    assert (SIGMA, SCALE) == (10.0, 1000.0)
    assert gaussian_mmd(x, y).value == pytest.approx(2000 * (1 - math.exp(-9 / 200)), rel=1e-12)


def test_two_normal_distributions_have_a_closed_form() -> None:
    """Mean kernel of N(0, 1) and N(s, 1) in one dimension: sqrt(v / (v + 2)) exp(-s^2 / (2 (v + 2))), v = sigma^2."""
    v, s = 1.5**2, 0.8

    def mean_kernel(distance: float) -> float:
        return math.sqrt(v / (v + 2)) * math.exp(-(distance**2) / (2 * (v + 2)))

    exact = 1000 * 2 * (mean_kernel(0.0) - mean_kernel(s))
    values, errors = [], []
    reference = np.random.default_rng(99).normal(size=(1500, 1))
    for seed in range(40):
        samples = points(300, seed, s, 1)
        found = gaussian_mmd(reference, samples, sigma=1.5, unbiased=True)
        values.append(found.value)
        errors.append(found.stderr)
    # The mean of 40 draws; the reference's own error is that of 1,500 points.
    allowance = 4 * np.std(values) * math.sqrt(1 / 40 + 300 / 1500)
    assert np.mean(values) == pytest.approx(exact, abs=allowance)
    # The spread of 40 draws is known to 11 %; the error claims to be that spread.
    assert np.mean(errors) / np.std(values, ddof=1) == pytest.approx(1.0, abs=0.44)


def test_the_pairs_of_a_point_with_itself_bias_upwards() -> None:
    x, y = points(50, 0), points(40, 1)
    biased, unbiased = gaussian_mmd(x, y).value, gaussian_mmd(x, y, unbiased=True).value
    assert gaussian_mmd(x, x).value == pytest.approx(0.0, abs=1e-9)
    assert biased > 0.0 > unbiased - biased
    assert gaussian_mmd(x, y[::-1]).value == pytest.approx(biased, rel=1e-9)


def test_unit_length() -> None:
    rows = unit_length(points(20, 0).astype(np.float32))
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, rtol=1e-6)
    assert np.isfinite(unit_length(np.zeros((2, 3)))).all()


def test_bad_features_are_refused() -> None:
    with pytest.raises(UserError, match="hold 1"):
        gaussian_mmd(points(1, 0), points(5, 0))
    with pytest.raises(UserError, match="3 feature dimensions, the samples 4"):
        gaussian_mmd(points(5, 0, dimensions=3), points(5, 0, dimensions=4))
