from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from dar_bench.errors import UserError
from dar_bench.evaluators.embedded import (
    MINIMUM,
    PairScorer,
    optional_lpips,
    score_generation,
    score_pairs,
    score_reconstruction,
)
from dar_bench.features.base import Features
from dar_bench.metrics.frechet import frechet_distance
from dar_bench.metrics.inception_score import inception_score
from dar_bench.metrics.kernel import kernel_distance
from dar_bench.metrics.precision_recall import manifold_scores
from dar_bench.metrics.reconstruction import psnr, ssim
from dar_bench.results.record import Score

FINGERPRINT = "toy;sha256=00;none"


def features(n: int, seed: int, shift: float = 0.0, classes: int | None = 7) -> Features:
    random = np.random.default_rng(seed)
    probabilities = None if classes is None else random.dirichlet(np.ones(classes), n).astype(np.float32)
    pool = (random.normal(size=(n, 12)) + shift).astype(np.float32)
    return Features(pool=pool, probabilities=probabilities, extractor="toy", fingerprint=FINGERPRINT)


def image_pairs(n: int, seed: int = 0) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    random = np.random.default_rng(seed)
    originals = random.integers(0, 256, (n, 3, 16, 16), dtype=np.uint8)
    noise = random.integers(-9, 10, originals.shape)
    return originals, np.clip(originals.astype(int) + noise, 0, 255).astype(np.uint8)


def by_name(scores: list[Score]) -> dict[str, Score]:
    return {score.name: score for score in scores}


def test_generation_scores_are_the_metrics_under_the_extractors_name() -> None:
    reference, samples = features(120, 0), features(90, 1, shift=0.3)
    scores = by_name(score_generation(reference, samples))
    assert list(scores) == [
        "FD[toy]",
        "KD[toy]",
        "IS[toy]",
        "precision[toy]",
        "recall[toy]",
        "density[toy]",
        "coverage[toy]",
    ]
    manifolds = manifold_scores(reference.pool, samples.pool)
    assert samples.probabilities is not None
    assert scores["FD[toy]"].value == frechet_distance(reference.pool, samples.pool)
    assert scores["KD[toy]"].value == kernel_distance(reference.pool, samples.pool).value
    assert scores["IS[toy]"].value == inception_score(samples.probabilities).split.value
    assert scores["precision[toy]"].value == manifolds.precision.value
    assert scores["recall[toy]"].value == manifolds.recall.value
    assert scores["density[toy]"].value == manifolds.density.value
    assert scores["coverage[toy]"].value == manifolds.coverage.value
    assert [scores[name].n for name in scores] == [90, 90, 90, 90, 120, 90, 120]


def test_every_score_has_an_error_and_says_how_it_was_made() -> None:
    for score in score_generation(features(60, 0), features(60, 1, shift=0.6)):
        assert score.stderr is not None and score.stderr > 0.0
        bounds = score.bounds()
        assert bounds is not None and bounds[0] < score.value < bounds[1]
        assert score.protocol.startswith("embedded/1;")
        assert ";toy@" in score.protocol
        assert "FID" not in score.name


def test_the_order_free_inception_score_stands_beside_more_than_one_split(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from dar_bench.evaluators import embedded

    monkeypatch.setattr(
        embedded, "inception_score", lambda probabilities: inception_score(probabilities, split_size=30)
    )
    scores = by_name(score_generation(features(60, 0), features(60, 1)))
    probabilities = features(60, 1).probabilities
    assert probabilities is not None
    expected = inception_score(probabilities, split_size=30)
    assert scores["IS[toy]"].value == expected.split.value
    assert scores["IS-one-split[toy]"].value == expected.order_free.value
    assert scores["IS[toy]"].protocol != scores["IS-one-split[toy]"].protocol


def test_an_extractor_without_classes_has_no_inception_score() -> None:
    scores = score_generation(features(40, 0, classes=None), features(40, 1, classes=None))
    assert not [score for score in scores if score.name.startswith("IS")]


def test_protocols_differ_with_the_extractors_fingerprint() -> None:
    one = score_generation(features(40, 0), features(40, 1))
    changed = [replace(features(40, seed), fingerprint="toy;sha256=11;none") for seed in (0, 1)]
    other = score_generation(*changed)
    assert all(a.protocol != b.protocol and a.value == b.value for a, b in zip(one, other, strict=True))


def test_reconstruction_scores() -> None:
    originals, reconstructions = image_pairs(40)
    before, after = features(40, 0), features(40, 0, shift=0.1)
    scores = by_name(score_reconstruction(originals, reconstructions, before, after))
    assert list(scores) == ["rFD[toy]", "PSNR", "SSIM"]
    assert scores["rFD[toy]"].value == frechet_distance(before.pool, after.pool)
    assert scores["PSNR"].value == pytest.approx(float(psnr(originals, reconstructions).mean()))
    similarity = ssim(originals, reconstructions)
    assert scores["SSIM"].value == pytest.approx(float(similarity.mean()))
    assert scores["SSIM"].stderr == pytest.approx(float(similarity.std(ddof=1)) / np.sqrt(40))


def test_pairs_may_come_as_a_stream() -> None:
    originals, reconstructions = image_pairs(40)
    before, after = features(40, 0), features(40, 1)
    pairs = PairScorer()
    for rows in (slice(0, 7), slice(7, 30), slice(30, 40)):
        pairs.add(originals[rows], reconstructions[rows])
    assert score_pairs(pairs, before, after) == score_reconstruction(
        originals, reconstructions, before, after
    )


def test_identical_pairs_are_counted_and_capped() -> None:
    originals, reconstructions = image_pairs(20)
    reconstructions[:3] = originals[:3]
    pairs = PairScorer()
    pairs.add(originals, reconstructions)
    score = by_name(pairs.scores())["PSNR"]
    assert score.note.startswith("3 of 20 pairs are identical and count as 77.0 dB")
    finite = psnr(originals[3:], reconstructions[3:])
    cap = 10 * np.log10(255**2 * 3 * 16 * 16)
    assert score.value == pytest.approx((finite.sum() + 3 * cap) / 20)


def test_lpips_is_reported_as_missing_and_never_as_a_number(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path_factory.mktemp("empty")
    monkeypatch.setenv("DAR_BENCH_HOME", str(empty))
    monkeypatch.setenv("TORCH_HOME", str(empty))
    lpips, unavailable = optional_lpips()
    assert lpips is None
    assert list(unavailable) == ["LPIPS[alex]"]
    assert "not on this machine" in unavailable["LPIPS[alex]"]


def test_lpips_joins_the_scores_where_it_is_available() -> None:
    class Distance:
        backbone = "alex"
        weights_sha256 = "ab" * 32

        def distances(self, originals: object, reconstructions: object) -> npt.NDArray[np.float64]:
            return np.array([0.1, 0.3])

    originals, reconstructions = image_pairs(4)
    pairs = PairScorer(Distance())  # type: ignore[arg-type]
    pairs.add(originals[:2], reconstructions[:2])
    pairs.add(originals[2:], reconstructions[2:])
    score = by_name(pairs.scores())["LPIPS[alex]"]
    assert score.value == pytest.approx(0.2) and score.n == 4
    assert "sha256=abababababab" in score.protocol


def test_bad_sets_are_refused() -> None:
    few, enough = features(MINIMUM - 1, 0), features(MINIMUM, 1)
    with pytest.raises(UserError, match="15 reference and 16 samples"):
        score_generation(few, enough)
    with pytest.raises(UserError, match="same extractor"):
        score_generation(enough, replace(enough, fingerprint="other"))
    broken = replace(enough, pool=np.where(np.arange(MINIMUM)[:, None] == 3, np.nan, enough.pool))
    with pytest.raises(UserError, match="samples are not finite for 1 of 16"):
        score_generation(enough, broken)
    with pytest.raises(UserError, match="originals are not finite for 1 of 16"):
        score_reconstruction(*image_pairs(MINIMUM), broken, enough)


def test_missing_pairs_are_refused() -> None:
    with pytest.raises(UserError, match="40 originals, 40 reconstructions and 39 compared"):
        score_reconstruction(*image_pairs(39), features(40, 0), features(40, 1))
    with pytest.raises(UserError, match="40 originals, 39 reconstructions"):
        score_reconstruction(*image_pairs(40), features(40, 0), features(39, 1))
    with pytest.raises(UserError, match="0 pairs"):
        PairScorer().scores()
