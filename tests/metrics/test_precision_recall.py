from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.neighbors import NearestNeighbors

from dar_bench.errors import UserError
from dar_bench.metrics.precision_recall import manifold_scores

Array = npt.NDArray[np.float64]


def radii(points: Array, k: int) -> Array:
    found = NearestNeighbors(n_neighbors=k + 1).fit(points).kneighbors(points)[0]
    return np.asarray(found[:, -1])


def brute_force(
    reference: Array, samples: Array, k: int, density_k: int
) -> tuple[float, float, float, float]:
    distances = np.linalg.norm(samples[:, None] - reference[None], axis=2)
    inside = distances <= radii(reference, density_k)
    return (
        float((distances <= radii(reference, k)).any(axis=1).mean()),
        float((distances <= radii(samples, k)[:, None]).any(axis=0).mean()),
        float(inside.sum(axis=1).mean() / density_k),
        float(inside.any(axis=0).mean()),
    )


def clouds(seed: int = 0) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    # Far from the origin, where plain float32 products would lose the distances.
    return random.normal(size=(210, 6)) + 300.0, 0.8 * random.normal(size=(160, 6)) + 300.3


@pytest.mark.parametrize(("k", "density_k"), [(3, 5), (1, 1), (5, 2)])
def test_equals_brute_force(k: int, density_k: int) -> None:
    reference, samples = clouds()
    scores = manifold_scores(reference, samples, k=k, density_k=density_k)
    found = (scores.precision.value, scores.recall.value, scores.density.value, scores.coverage.value)
    assert found == pytest.approx(brute_force(reference, samples, k, density_k), abs=1e-12)
    assert 0.1 < scores.precision.value < 1.0 and 0.1 < scores.recall.value < 1.0


def test_blocks_change_nothing() -> None:
    reference, samples = clouds(1)
    whole = manifold_scores(reference, samples)
    # One row of distances at a time, and a few.
    for block_bytes in (1, 4 * 210 * 7):
        assert manifold_scores(reference, samples, block_bytes=block_bytes) == whole


def test_equal_sets_cover_each_other() -> None:
    reference, _ = clouds()
    scores = manifold_scores(reference, reference)
    assert scores.precision.value == scores.recall.value == scores.coverage.value == 1.0
    assert scores.precision.interval is not None and scores.precision.interval[1] == 1.0
    # Every point lies in its own ball and in those it is a near neighbour of: k + 1 balls on average.
    assert scores.density.value == pytest.approx(6 / 5, abs=0.01)


def test_distant_sets_share_nothing() -> None:
    reference, samples = clouds()
    scores = manifold_scores(reference, samples + 100.0)
    assert (
        scores.precision.value == scores.recall.value == scores.density.value == scores.coverage.value == 0.0
    )
    assert scores.precision.stderr == 0.0
    # The error collapses, the interval does not.
    assert scores.precision.interval is not None
    low, high = scores.precision.interval
    assert low == 0.0 and 0.01 < high < 0.04


def test_a_point_on_the_surface_is_inside() -> None:
    line = np.arange(8.0)[:, None] * np.array([[1.0, 0.0]])
    samples = np.tile(np.array([[-1.0, 0.0]]), (8, 1))
    scores = manifold_scores(line, samples, k=1, density_k=1)
    assert scores.precision.value == 1.0
    assert scores.coverage.value == pytest.approx(1 / 8)


def test_errors_are_binomial_and_of_cover_also_the_jackknife() -> None:
    reference, samples = clouds()
    scores = manifold_scores(reference, samples)
    distances = ((samples[:, None] - reference[None]) ** 2).sum(axis=2)
    balls = {
        "recall": distances <= (radii(samples, 3) ** 2)[:, None],
        "coverage": distances <= (radii(reference, 5) ** 2)[None],
    }
    for estimate, name, n in (
        (scores.precision, "precision", 160),
        (scores.recall, "recall", 210),
        (scores.coverage, "coverage", 210),
    ):
        variance = estimate.value * (1 - estimate.value) / n
        if name in balls:
            without = [np.delete(balls[name], row, axis=0).any(axis=0).mean() for row in range(160)]
            variance += 159 * np.var(without)
        assert estimate.n == n
        assert estimate.stderr == pytest.approx(np.sqrt(variance))
        assert estimate.interval is not None
        assert 0.0 <= estimate.interval[0] < estimate.value < estimate.interval[1] <= 1.0
    assert scores.density.n == 160 and scores.density.stderr > 0.0


def test_bad_input_is_refused() -> None:
    reference, samples = clouds()
    with pytest.raises(UserError, match="samples hold 5, at least 6"):
        manifold_scores(reference, samples[:5])
    with pytest.raises(UserError, match="6 feature dimensions, the samples 5"):
        manifold_scores(reference, samples[:, :5])
    with pytest.raises(UserError, match="at least 1"):
        manifold_scores(reference, samples, k=0)
