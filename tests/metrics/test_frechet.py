from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.linalg import sqrtm

from dar_bench.errors import UserError
from dar_bench.metrics.frechet import frechet_distance, frechet_estimate, paired_frechet_estimate
from dar_bench.metrics.moments import Gaussian, gaussian

Array = npt.NDArray[np.float64]


def by_sqrtm(one: Gaussian, other: Gaussian) -> float:
    shift = one.mean - other.mean
    root = np.real(sqrtm(one.covariance @ other.covariance))
    return float(shift @ shift + np.trace(one.covariance + other.covariance - 2 * root))


def correlated(n: int, dimensions: int, seed: int) -> Array:
    """Vectors with a spectrum that falls as features' spectra do, and correlations."""
    random = np.random.default_rng(seed)
    mixing = random.normal(size=(dimensions, dimensions)) * np.arange(1, dimensions + 1) ** -0.7
    return random.normal(size=(n, dimensions)) @ mixing.T + random.normal(size=dimensions)


def exact(n: int, directions: Array, variances: Array, mean: Array, seed: int = 0) -> Array:
    """n vectors whose sample covariance is exactly ``sum variances_k directions_k directions_k'``.

    Args:
        directions: (r, D) with orthonormal rows.
        variances: (r,).
    """
    noise = np.random.default_rng(seed).normal(size=(n, len(variances)))
    noise -= noise.mean(axis=0)
    white, _ = np.linalg.qr(noise)  # Orthonormal columns of mean zero.
    return white * np.sqrt((n - 1) * variances) @ directions + mean


def orthonormal(rows: int, dimensions: int, seed: int = 1) -> Array:
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(dimensions, rows)))
    return q.T


@pytest.mark.parametrize("dimensions", [4, 64, 200])
def test_full_rank_agrees_with_sqrtm(dimensions: int) -> None:
    one, other = correlated(4 * dimensions, dimensions, 0), correlated(3 * dimensions, dimensions, 1)
    expected = by_sqrtm(gaussian(one), gaussian(other))
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(gaussian(one), gaussian(other)) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(one, gaussian(other)) == pytest.approx(expected, rel=1e-6)


def test_is_symmetric_in_its_arguments() -> None:
    one, other = correlated(200, 16, 0), correlated(10, 16, 1)
    assert frechet_distance(one, other) == pytest.approx(frechet_distance(other, one), rel=1e-12)


@pytest.mark.parametrize("n", [500, 65, 64, 20])
def test_equal_sets_have_distance_zero(n: int) -> None:
    x = correlated(n, 64, 3)
    scale = float(np.trace(gaussian(x).covariance))
    assert 0.0 <= frechet_distance(x, x) < 1e-11 * scale


@pytest.mark.parametrize("n", [300, 12])
def test_a_shift_alone_gives_its_squared_length(n: int) -> None:
    x = correlated(n, 32, 4)
    shift = np.linspace(-1.0, 2.0, 32)
    assert frechet_distance(x, x + shift) == pytest.approx(float(shift @ shift), rel=1e-10)


def test_commuting_covariances_have_a_closed_form() -> None:
    basis = orthonormal(10, 10)
    first, second = np.geomspace(1e-4, 10.0, 10), np.geomspace(5.0, 1e-3, 10)
    one = exact(50, basis, first, np.zeros(10))
    other = exact(80, basis, second, np.ones(10), seed=9)
    expected = 10.0 + float(((np.sqrt(first) - np.sqrt(second)) ** 2).sum())
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("n", [6, 40, 300])
def test_rank_deficient_covariances_have_a_closed_form(n: int) -> None:
    """Five directions out of 128: fewer vectors than dimensions, and more of them than dimensions."""
    basis = orthonormal(5, 128)
    first, second = np.array([4.0, 2.0, 1.0, 0.5, 0.1]), np.array([1.0, 3.0, 1.0, 0.2, 0.9])
    one = exact(n, basis, first, np.zeros(128))
    other = exact(n, basis, second, np.zeros(128), seed=9)
    expected = float(((np.sqrt(first) - np.sqrt(second)) ** 2).sum())
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-11)
    assert frechet_distance(gaussian(one), gaussian(other)) == pytest.approx(expected, rel=1e-6)


def test_the_matrix_square_root_is_the_inexact_one_below_full_rank() -> None:
    """Why sqrtm is no reference here: it misses the closed form by more than a million times our error."""
    basis = orthonormal(5, 128)
    variances = np.array([4.0, 2.0, 1.0, 0.5, 0.1])
    one = exact(40, basis, variances, np.zeros(128))
    other = exact(40, basis, variances[::-1], np.zeros(128), seed=9)
    expected = float(((np.sqrt(variances) - np.sqrt(variances[::-1])) ** 2).sum())
    ours = abs(frechet_distance(one, other) - expected)
    theirs = abs(by_sqrtm(gaussian(one), gaussian(other)) - expected)
    assert ours < 1e-12
    assert theirs > 1e-8


def test_one_direction_each_at_an_angle() -> None:
    """S1 = a a', S2 = b b': the root's trace is |a'b|."""
    a, b = np.array([[3.0, 0.0, 0.0, 0.0]]), np.array([[1.0, 1.0, 0.0, 0.0]])
    one = exact(3, a / 3.0, np.array([9.0]), np.zeros(4))
    other = exact(3, b / np.sqrt(2.0), np.array([2.0]), np.zeros(4), seed=9)
    assert frechet_distance(one, other) == pytest.approx(9.0 + 2.0 - 2.0 * 3.0, rel=1e-12)


def test_orthogonal_supports_share_nothing() -> None:
    basis = orthonormal(6, 50)
    one = exact(20, basis[:3], np.array([1.0, 2.0, 3.0]), np.zeros(50))
    other = exact(20, basis[3:], np.array([4.0, 5.0, 6.0]), np.zeros(50), seed=9)
    assert frechet_distance(one, other) == pytest.approx(21.0, rel=1e-11)


def test_a_constant_feature_does_not_disturb() -> None:
    one, other = correlated(100, 20, 0), correlated(100, 20, 1)
    expected = frechet_distance(one, other)
    padding = np.full((100, 1), 0.25)
    padded = frechet_distance(np.hstack([one, padding]), np.hstack([other, padding]))
    assert padded == pytest.approx(expected, rel=1e-10)


def test_rank_of_both_sides_may_differ() -> None:
    """20 vectors against 400 in 64 dimensions, beside the eigenvalues of the product in higher precision."""
    one, other = correlated(400, 64, 0), correlated(20, 64, 1)
    a, b = gaussian(one), gaussian(other)
    root = np.linalg.cholesky(a.covariance)
    kept = np.linalg.eigvalsh(root.T @ b.covariance @ root)[-19:]
    shift = a.mean - b.mean
    expected = float(
        shift @ shift + np.trace(a.covariance) + np.trace(b.covariance) - 2 * np.sqrt(kept).sum()
    )
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(
    ("shift", "scale", "n"), [(0.5, 1.0, 300), (0.0, 1.4, 300), (1.0, 1.3, 20), (0.0, 1.0, 300)]
)
def test_standard_error_matches_the_spread_of_repeated_draws(shift: float, scale: float, n: int) -> None:
    """Simulation with Gaussians in 24 dimensions, above and below full rank.

    The error may be too large for equal distributions (last case), where the first-order influence that it is
    made of vanishes; it must never be much too small.
    """
    random = np.random.default_rng(5)
    spectrum = np.arange(1, 25) ** -0.5
    reference = gaussian(random.normal(size=(2000, 24)) * spectrum)
    values, errors = [], []
    for _ in range(150):
        samples = random.normal(size=(n, 24)) * spectrum * scale
        samples[:, 0] += shift
        estimate = frechet_estimate(reference, samples)
        values.append(estimate.value)
        errors.append(estimate.stderr)
    ratio = float(np.sqrt(np.mean(np.square(errors))) / np.std(values))
    equal = shift == 0.0 and scale == 1.0
    # The spread of 150 draws is itself known to 6 %; 25 % are four of those errors.
    assert 0.75 < ratio < (2.0 if equal else 1.25)
    assert estimate.n == n


def test_standard_error_of_pairs_sees_that_they_are_pairs() -> None:
    random = np.random.default_rng(6)
    values, errors = [], []
    for _ in range(150):
        originals = random.normal(size=(200, 12)) * 3.0
        reconstructions = 0.8 * originals + 0.3 * random.normal(size=(200, 12))
        estimate = paired_frechet_estimate(originals, reconstructions)
        values.append(estimate.value)
        errors.append(estimate.stderr)
    assert np.mean(errors) / np.std(values) == pytest.approx(1.0, abs=0.25)


def test_influence_equals_the_change_when_a_sample_is_weighted() -> None:
    """The first-order influence against two-sided differences of the distance itself, by repeating rows."""
    reference, samples = correlated(100, 8, 0), correlated(60, 8, 1)
    repeats = 400
    changes = []
    for row in range(60):
        # With every row repeated 400 times, one row more or less is a small change of weight.
        base = np.repeat(samples, repeats, axis=0)
        more = frechet_distance(reference, np.vstack([base, samples[row : row + 1]]))
        less = frechet_distance(reference, np.delete(base, row * repeats, axis=0))
        changes.append((more - less) / 2 * len(base))
    spread = np.asarray(changes) - np.mean(changes)
    expected = float(np.sqrt((spread**2).sum() / (60 * 59)))
    # The covariance's divisor n - 1 differs between 60 and 24,000 rows by 1/60.
    assert frechet_estimate(reference, samples).stderr == pytest.approx(expected, rel=0.02)


def weighted_distance(reference: Gaussian, samples: Array, weights: Array) -> float:
    """The distance with a weight for every sample, by singular values alone."""
    mean = weights @ samples
    factor = np.sqrt(weights)[:, None] * (samples - mean)
    eigenvalues, vectors = np.linalg.eigh(reference.covariance)
    kept = eigenvalues > 1e-12 * eigenvalues[-1]
    root = np.sqrt(eigenvalues[kept])[:, None] * vectors[:, kept].T
    shift = reference.mean - mean
    traces = np.trace(reference.covariance) + (factor**2).sum()
    nuclear = np.linalg.svd(root @ factor.T, compute_uv=False).sum()
    return float(shift @ shift + traces - 2 * nuclear)


def error_by_differences(reference: Gaussian, samples: Array, step: float = 1e-5) -> float:
    """The jackknife error from two-sided differences of the weighted distance."""
    n = len(samples)
    psi = np.empty(n)
    for row in range(n):
        ends = []
        for sign in (1.0, -1.0):
            weights = np.full(n, (1 - sign * step) / n)
            weights[row] += sign * step
            ends.append(weighted_distance(reference, samples, weights))
        psi[row] = (ends[0] - ends[1]) / (2 * step)
    return float(np.sqrt((psi**2).sum() / (n * (n - 1))))


@pytest.mark.parametrize("reference_count", [9, 400], ids=["reference of rank 8", "reference of full rank"])
@pytest.mark.parametrize("count", [7, 24, 90])
@pytest.mark.parametrize("as_moments", [False, True], ids=["vectors", "moments"])
def test_error_equals_differences_at_every_rank(reference_count: int, count: int, as_moments: bool) -> None:
    vectors, samples = correlated(reference_count, 24, 0), correlated(count, 24, 1)
    reference = gaussian(vectors)
    expected = error_by_differences(reference, samples)
    found = frechet_estimate(reference if as_moments else vectors, samples)
    # Forms in float32, whose rounding of 6e-8 averages out.
    assert found.stderr == pytest.approx(expected, rel=2e-6)
    assert found.value == pytest.approx(frechet_distance(vectors, samples), rel=1e-6 if as_moments else 1e-10)


@pytest.mark.parametrize("count", [7, 90])
def test_paired_error_is_the_sum_of_both_sides_influences(count: int) -> None:
    """Both transports at once: against the two one-sided forms, each computed for itself."""
    one = correlated(count, 12, 0)
    other = one + 0.3 * correlated(count, 12, 1)

    def psi(fixed: Array, drawn: Array, step: float = 1e-5) -> Array:
        moments, values = gaussian(fixed), np.empty(count)
        for row in range(count):
            weights = np.full((2, count), (1 - step * np.array([[1.0], [-1.0]])) / count)
            weights[:, row] += step * np.array([1.0, -1.0])
            more, less = (weighted_distance(moments, drawn, each) for each in weights)
            values[row] = (more - less) / (2 * step)
        return values

    both = psi(one, other) + psi(other, one)
    expected = float(np.sqrt(((both - both.mean()) ** 2).sum() / (count * (count - 1))))
    # Forms in float32, whose rounding of 6e-8 averages out; the sides cancel to a third of either.
    assert paired_frechet_estimate(one, other).stderr == pytest.approx(expected, rel=2e-6)


@pytest.mark.parametrize(("one_count", "other_count"), [(30, 40), (30, 500), (500, 30)])
def test_moments_alone_below_full_rank_agree_with_their_vectors(one_count: int, other_count: int) -> None:
    one, other = correlated(one_count, 100, 0), correlated(other_count, 100, 1)
    expected = frechet_distance(one, other)
    # The root of a direction that a covariance holds to 1e-16 is known to 1e-8.
    assert frechet_distance(gaussian(one), gaussian(other)) == pytest.approx(expected, rel=1e-8)
    assert frechet_distance(gaussian(one), other) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (np.zeros((1, 4)), np.zeros((5, 4)), "hold 1"),
        (np.zeros((5, 4)), np.full((5, 4), np.nan), "not finite for 5 of 5"),
        (np.zeros((5, 4)), np.full((5, 4), np.inf), "not finite"),
        (np.zeros((5, 4)), np.zeros((5, 3)), "4 feature dimensions, the samples 3"),
    ],
)
def test_bad_features_are_refused(first: Array, second: Array, message: str) -> None:
    with pytest.raises(UserError, match=message):
        frechet_distance(first, second)


def test_unequal_pairs_are_refused() -> None:
    with pytest.raises(UserError, match="5 originals but 4"):
        paired_frechet_estimate(np.zeros((5, 3)), np.zeros((4, 3)))
