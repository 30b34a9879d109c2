"""ADM's arithmetic against TensorFlow, NumPy and SciPy on features of all kinds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from dar_bench.metrics.adm import adm_frechet, adm_inception_score, adm_paired_frechet
from dar_bench.metrics.distances import distances_again, prepare, tile_distances, tiles
from dar_bench.metrics.frechet import frechet_distance
from dar_bench.metrics.inception_score import inception_score
from dar_bench.metrics.moments import Gaussian, gaussian
from dar_bench.metrics.near_pairs import nearest
from dar_bench.metrics.precision_recall import manifold_scores

Array = npt.NDArray[np.float32]
BY_HAND = Path(__file__).with_name("adm_by_hand.py")
SETS = ("inception", "narrow", "ragged", "huge")


def clouds(kind: str) -> tuple[Array, Array]:
    """Features like Inception's (not negative, squared norms of some hundred), in some widths and sizes."""
    random = np.random.default_rng(len(kind))
    width = {"inception": 2048, "narrow": 96, "ragged": 100, "huge": 96}[kind]
    # "huge" overflows float16 in its norms.
    scale = {"huge": 60.0}.get(kind, np.sqrt(300 / width))
    centres = random.normal(size=(30, width))
    falling = 40 if kind == "inception" else 2

    def draw(count: int, spread: float) -> Array:
        # A spectrum that falls off as that of real features does, so that neighbours are near.
        noise = spread * random.normal(size=(count, width)) * np.linspace(1, 0, width) ** falling
        return np.abs(scale * (0.6 * centres[random.integers(30, size=count)] + noise)).astype(np.float32)

    return draw(420, 0.5), draw(330, 0.55)


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> dict[str, npt.NDArray[np.generic]]:
    folder = tmp_path_factory.mktemp("by-hand")
    given: dict[str, object] = {"sets": SETS, "probabilities": probabilities(), "split": 50}
    for kind in SETS:
        given[f"reference_{kind}"], given[f"samples_{kind}"] = clouds(kind)
    np.savez(folder / "in.npz", **given)
    ran = subprocess.run(
        [sys.executable, BY_HAND, folder / "in.npz", "none", folder / "out.npz"],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    return dict(np.load(folder / "out.npz"))


def probabilities() -> Array:
    logits = np.random.default_rng(3).normal(size=(170, 40)) * 3
    odds = np.exp(logits)
    return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("kind", SETS)
def test_float16_distances_are_tensorflows(kind: str, by_hand: dict[str, npt.NDArray[np.generic]]) -> None:
    reference, samples = clouds(kind)
    real, fake = prepare(reference, samples, arithmetic="adm-float16")
    np.testing.assert_array_equal(real.norms.numpy(), by_hand[f"norms_{kind}"])
    distances = np.empty((len(real), len(fake)), dtype=np.float32)
    for tile in tiles(real, fake, size=128):
        assert tile.again == (kind == "huge")
        found = (
            distances_again(real, fake, tile.rows, tile.columns)
            if tile.again
            else tile_distances(real, fake, tile.rows, tile.columns)[0]
        )
        distances[tile.rows, tile.columns] = found.numpy()
    expected = by_hand[f"distances_{kind}"]
    if kind == "huge":
        assert np.isinf(by_hand[f"norms_{kind}"]).any() and np.isfinite(expected).all()
        # Both in float32, summed in another order: some roundings of the norms (5e6).
        np.testing.assert_allclose(distances, expected, rtol=0, atol=8 * np.spacing(np.float32(5e6)))
    else:
        # The products are float32 sums in another order, which moves a rounding to float16 now and then.
        assert (distances != expected).mean() < 1e-3
        assert np.abs(distances - expected).max() <= 2 * np.spacing(np.float16(600))
    for points, name in ((real, "reference_radii"), (fake, "sample_radii")):
        radii = nearest(points, 4, size=128).smallest(3).numpy()
        if kind == "huge":
            np.testing.assert_allclose(radii, by_hand[f"{name}_{kind}"], rtol=1e-5)
        else:
            # Below a thousandth of the distances moved, and some ten lie near a radius: about one radius in a hundred.
            assert (radii != by_hand[f"{name}_{kind}"]).mean() <= 0.02
            assert np.abs(radii - by_hand[f"{name}_{kind}"]).max() <= 2 * np.spacing(np.float16(600))


@pytest.mark.parametrize("kind", SETS)
def test_precision_and_recall_are_tensorflows(kind: str, by_hand: dict[str, npt.NDArray[np.generic]]) -> None:
    reference, samples = clouds(kind)
    scores = manifold_scores(reference, samples, arithmetic="adm-float16", block_bytes=1 << 18)
    # One row of a few hundred, where a single rounding decides.
    assert scores.precision.value == pytest.approx(by_hand[f"precise_{kind}"].mean(), abs=1.01 / len(samples))
    assert scores.recall.value == pytest.approx(by_hand[f"recalled_{kind}"].mean(), abs=1.01 / len(reference))
    assert 0.02 < scores.precision.value < 0.98


def test_float16_is_another_metric_than_float32() -> None:
    """Large equal parts leave float16 few digits for the differences."""
    random = np.random.default_rng(0)
    reference, samples = (
        (4.0 + spread * random.normal(size=(400, 128))).astype(np.float32) for spread in (0.10, 0.11)
    )
    half = manifold_scores(reference, samples, arithmetic="adm-float16")
    single = manifold_scores(reference, samples)
    assert abs(half.precision.value - single.precision.value) > 0.02


def test_tiles_change_nothing() -> None:
    reference, samples = clouds("narrow")
    whole = manifold_scores(reference, samples, arithmetic="adm-float16")
    assert manifold_scores(reference, samples, arithmetic="adm-float16", block_bytes=64 * 37**2) == whole


def test_a_block_is_computed_again_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """One row that overflows float16 turns the distances of its block to float32, and of no other."""
    monkeypatch.setattr("dar_bench.metrics.distances.ADM_BLOCK", 100)
    reference, _ = clouds("narrow")
    reference = reference[:300].copy()
    plain = blocks(reference)
    reference[150] *= 100
    changed = blocks(reference)
    assert plain == dict.fromkeys([(0, 0), (100, 100), (200, 200), (0, 100), (0, 200), (100, 200)], False)
    assert changed == {place: 100 in place for place in plain}


def blocks(features: Array) -> dict[tuple[int, int], bool]:
    (points,) = prepare(features, arithmetic="adm-float16")
    return {(tile.rows.start, tile.columns.start): tile.again for tile in tiles(points, points, size=100)}


def test_frechet_has_float32_means(by_hand: dict[str, npt.NDArray[np.generic]]) -> None:
    for kind in ("narrow", "ragged"):
        reference, samples = clouds(kind)
        found = adm_frechet(reference, samples)
        # The matrix root's own error at full rank.
        assert found.value == pytest.approx(float(by_hand[f"frechet_{kind}"]), rel=1e-9)
        exact = frechet_distance(reference, samples)
        assert found.value != exact and found.value == pytest.approx(exact, rel=1e-5)


def test_frechet_to_statistics_uses_their_mean_as_it_is() -> None:
    reference, samples = clouds("narrow")
    moments = gaussian(reference)
    mean = reference.mean(axis=0)
    stored = Gaussian(mean=mean.astype(np.float64), covariance=moments.covariance, n=moments.n)
    assert adm_frechet(stored, samples).value == pytest.approx(
        adm_frechet(reference, samples).value, rel=1e-12
    )
    # A mean of float64 makes the difference float64.
    difference = moments.mean - samples.mean(axis=0)
    rest = frechet_distance(moments, samples) - float(
        (moments.mean - samples.mean(axis=0, dtype=float)) ** 2 @ np.ones(96)
    )
    assert adm_frechet(moments, samples).value == pytest.approx(
        rest + float(difference @ difference), rel=1e-12
    )


def test_paired_frechet_is_the_same_distance() -> None:
    reference, samples = clouds("narrow")
    one = adm_paired_frechet(reference[:330], samples)
    assert one.value == pytest.approx(adm_frechet(reference[:330], samples).value, rel=1e-12)


def test_inception_score_is_numpys_in_float32(by_hand: dict[str, npt.NDArray[np.generic]]) -> None:
    found, undefined = adm_inception_score(probabilities(), split_size=50)
    assert found.value == float(by_hand["inception"]) and not undefined
    exact = inception_score(probabilities(), split_size=50).split
    assert found.value != exact.value and found.value == pytest.approx(exact.value, rel=1e-5)
    assert found.stderr == exact.stderr


def test_where_adm_prints_nan_the_limit_is_given() -> None:
    rows = probabilities()
    rows[3, 5] = 0.0
    found, undefined = adm_inception_score(rows)
    assert undefined and found == inception_score(rows).split
