from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest

from dar_bench.errors import UserError
from dar_bench.evaluators import embedded
from dar_bench.evaluators.base import Evaluator, Side
from dar_bench.evaluators.embedded import EmbeddedEvaluator
from dar_bench.evaluators.scores import MINIMUM
from dar_bench.features.base import Features
from dar_bench.metrics.frechet import frechet_distance
from dar_bench.metrics.inception_score import inception_score
from dar_bench.metrics.kernel import kernel_distance
from dar_bench.metrics.moments import gaussian
from dar_bench.metrics.precision_recall import manifold_scores
from dar_bench.results.record import Score

FINGERPRINT = "toy;sha256=00;none"


def features(n: int, seed: int, shift: float = 0.0, classes: int | None = 7) -> Features:
    random = np.random.default_rng(seed)
    probabilities = None if classes is None else random.dirichlet(np.ones(classes), n).astype(np.float32)
    pool = (random.normal(size=(n, 12)) + shift).astype(np.float32)
    return Features(pool=pool, probabilities=probabilities, extractor="toy", fingerprint=FINGERPRINT)


def side(features: Features, name: str = "toys") -> Side:
    return Side(name=name, fingerprint="", features=features, count=len(features))


class Toy:
    """Stands for the extractor whose features the tests make up."""

    name = "toy"

    def fingerprint(self) -> str:
        return FINGERPRINT

    def extract(self, images: object) -> Features:
        raise NotImplementedError


@functools.cache
def evaluator(fingerprint: str = FINGERPRINT) -> EmbeddedEvaluator:
    made = EmbeddedEvaluator()
    made.extractor = Toy()
    made.extractor.fingerprint = lambda: fingerprint  # type: ignore[method-assign]
    return made


def score_generation(reference: Features, samples: Features) -> list[Score]:
    return evaluator(samples.fingerprint).score_generation(side(reference), side(samples))


def score_reconstruction(originals: Features, reconstructions: Features) -> list[Score]:
    return evaluator().score_reconstruction(side(originals), side(reconstructions))


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
    # With its error it comes from eigenvectors, without from eigenvalues alone: rounding of traces of some 10.
    expected = frechet_distance(reference.pool, samples.pool)
    assert scores["FD[toy]"].value == pytest.approx(expected, abs=1e-12)
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


def test_an_extractor_without_classes_has_no_inception_score() -> None:
    scores = score_generation(features(40, 0, classes=None), features(40, 1, classes=None))
    assert not [score for score in scores if score.name.startswith("IS")]


def test_protocols_differ_with_the_extractors_fingerprint() -> None:
    one = score_generation(features(40, 0), features(40, 1))
    changed = [replace(features(40, seed), fingerprint="toy;sha256=11;none") for seed in (0, 1)]
    other = score_generation(*changed)
    assert all(a.protocol != b.protocol and a.value == b.value for a, b in zip(one, other, strict=True))


def test_the_order_free_inception_score_stands_beside_more_than_one_split(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
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


def test_reconstruction_is_scored_pairwise() -> None:
    before, after = features(40, 0), features(40, 0, shift=0.1)
    (score,) = score_reconstruction(before, after)
    assert score.name == "rFD[toy]" and score.n == 40
    assert score.value == pytest.approx(frechet_distance(before.pool, after.pool), abs=1e-12)
    with pytest.raises(UserError, match="40 originals but 39 reconstructions"):
        score_reconstruction(before, features(39, 1))


def test_of_statistics_alone_come_the_scores_that_need_no_more() -> None:
    reference, samples = features(200, 0), features(90, 1, shift=0.3)
    statistics = Side(
        name="statistics",
        fingerprint="",
        features=None,
        statistics={"pool": gaussian(reference.pool)},
        count=200,
    )
    scores = by_name(evaluator().score_generation(statistics, side(samples)))
    assert list(scores) == ["FD[toy]", "IS[toy]"]
    # The same moments by another way of summing: equal but for rounding.
    whole = by_name(score_generation(reference, samples))
    assert scores["FD[toy]"].value == pytest.approx(whole["FD[toy]"].value, rel=1e-12)
    assert scores["FD[toy]"].protocol == whole["FD[toy]"].protocol


def test_two_statistics_have_a_distance_and_an_error() -> None:
    reference, samples = features(200, 0), features(90, 1, shift=0.3)
    sets = [
        Side(name="s", fingerprint="", features=None, statistics={"pool": gaussian(one.pool)}, count=len(one))
        for one in (reference, samples)
    ]
    (score,) = evaluator().score_generation(*sets)
    assert score.value == pytest.approx(frechet_distance(reference.pool, samples.pool), rel=1e-12)
    assert score.n == 90 and "stderr=gaussian-samples" in score.protocol
    with pytest.raises(UserError, match="do not say how many images"):
        evaluator().score_generation(sets[0], replace(sets[1], count=0))
    (mixed,) = evaluator().score_generation(side(reference), sets[1])
    assert mixed.value == pytest.approx(score.value, rel=1e-12)


def test_statistics_take_the_place_of_the_features_moments() -> None:
    whole, part, samples = features(200, 0), features(50, 2), features(90, 1, shift=0.3)
    both = replace(side(part), statistics={"pool": gaussian(whole.pool)}, count=200)
    scores = by_name(evaluator().score_generation(both, side(samples)))
    assert scores["FD[toy]"].value == pytest.approx(frechet_distance(whole.pool, samples.pool), rel=1e-12)
    assert scores["recall[toy]"].value == manifold_scores(part.pool, samples.pool).recall.value


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
        score_reconstruction(broken, enough)


def test_it_is_an_evaluator_of_its_extractor() -> None:
    assert isinstance(EmbeddedEvaluator(), Evaluator)
    fingerprint = EmbeddedEvaluator().fingerprint()
    assert fingerprint.evaluator == "embedded"
    assert fingerprint.extractor.startswith("efficientnet-lite0@")
    assert "bicubic-antialias" in fingerprint.resize and "sha256" not in fingerprint.resize
