from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.linalg import sqrtm

from dar_bench.errors import UserError
from dar_bench.metrics.frechet import frechet_distance
from dar_bench.metrics.frechet_infinity import frechet_infinity
from dar_bench.metrics.moments import Gaussian, gaussian

Array = npt.NDArray[np.float64]
DIMENSIONS = 10
SPECTRUM = np.arange(1, DIMENSIONS + 1) ** -0.5


def draw(n: int, seed: int, scale: float = 1.0) -> Array:
    return np.random.default_rng(seed).normal(size=(n, DIMENSIONS)) * SPECTRUM * scale


def population(scale: float = 1.0) -> Gaussian:
    return Gaussian(mean=np.zeros(DIMENSIONS), covariance=np.diag((SPECTRUM * scale) ** 2), n=10**9)


def test_is_the_intercept_of_a_least_squares_line() -> None:
    """The same subsets, the distance by a matrix root and the line by another routine."""
    reference, samples = draw(400, 0), draw(300, 1, 1.3)
    random = np.random.default_rng(7)
    one = gaussian(reference)
    sizes, values = np.linspace(30, 300, 15).round().astype(int), []
    for size in sizes:
        other = gaussian(samples[random.permutation(300)[:size]])
        shift = one.mean - other.mean
        root = np.real(sqrtm(one.covariance @ other.covariance))
        values.append(shift @ shift + np.trace(one.covariance + other.covariance - 2 * root))
    expected = np.polyfit(1 / sizes, values, 1)[1]
    assert frechet_infinity(reference, samples, seed=7).value == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("scale", [1.0, 1.25])
def test_takes_away_the_bias_and_knows_its_error(scale: float) -> None:
    """Against the exact distance of the populations, sum (s - s scale)^2 over the spectrum."""
    exact = float(((SPECTRUM * (1 - scale)) ** 2).sum())
    plain, found, errors = [], [], []
    for seed in range(80):
        samples = draw(300, seed, scale)
        plain.append(frechet_distance(population(), samples))
        estimate = frechet_infinity(population(), samples, seed=seed)
        found.append(estimate.value)
        errors.append(estimate.stderr)
    error_of_mean = np.std(found) / np.sqrt(80)
    # 1/n^2 is what the line leaves: at 30 samples a tenth of the bias there, at the intercept less.
    remaining = 0.1 * (np.mean(plain) - exact)
    assert abs(np.mean(found) - exact) < 4 * error_of_mean + remaining
    assert np.mean(plain) - exact > 8 * np.std(plain) / np.sqrt(80)
    if scale != 1.0:
        # The spread of 80 draws is known to 8 %.
        assert np.mean(errors) / np.std(found, ddof=1) == pytest.approx(1.0, abs=0.32)


def test_the_seed_fixes_the_number() -> None:
    reference, samples = draw(200, 0), draw(300, 1)
    first = frechet_infinity(reference, samples, seed=3)
    assert frechet_infinity(gaussian(reference), samples, seed=3) == first
    assert frechet_infinity(reference, samples, seed=4).value != first.value


def test_too_few_samples_are_refused_with_the_number_that_is_enough() -> None:
    with pytest.raises(UserError, match="Use at least 110 samples"):
        frechet_infinity(draw(200, 0), draw(100, 1))
    frechet_infinity(draw(200, 0), draw(110, 1))
    with pytest.raises(UserError, match="at least 3 points"):
        frechet_infinity(draw(200, 0), draw(300, 1), points=2)
