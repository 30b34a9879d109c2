"""FD-DINOv2, FD-CLIP and CMMD as evaluators: their scores are the metrics under the extractor's name."""

from __future__ import annotations

import numpy as np
import pytest

from dar_bench.errors import UserError
from dar_bench.evaluators import vit
from dar_bench.evaluators.base import Evaluator, Side
from dar_bench.evaluators.names import load_evaluator
from dar_bench.features.base import Features
from dar_bench.metrics.frechet import frechet_distance, paired_frechet_estimate
from dar_bench.metrics.gaussian_kernel import gaussian_mmd
from dar_bench.metrics.moments import gaussian

EVALUATORS = {"fd-dinov2": "dinov2-vitl14", "fd-clip": "clip-vitb32", "cmmd": "clip-vitl14-336"}


class Weightless:
    """An extractor that needs no weights, for what is not about features."""

    def __init__(self, name: str, device: str):
        self.name = name
        self.published = False

    def fingerprint(self) -> str:
        return f"{self.name};sha256=00;pil-bicubic-stretch-8;mean=0"

    def extract(self, images: object) -> Features:
        raise NotImplementedError


@pytest.fixture(autouse=True)
def extractors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vit, "load_extractor", Weightless)


def side(name: str, n: int, seed: int) -> Side:
    pool = np.random.default_rng(seed).normal(size=(n, 6)).astype(np.float32) + 0.2 * seed
    features = Features(pool=pool, probabilities=None, extractor=name, fingerprint=f"{name};sha256=00")
    return Side(name="toys", fingerprint="", features=features, count=n)


@pytest.mark.parametrize("name", EVALUATORS)
def test_scores(name: str) -> None:
    evaluator = load_evaluator(name)
    assert isinstance(evaluator, Evaluator)
    extractor = EVALUATORS[name]
    one, other = side(extractor, 50, 0), side(extractor, 40, 1)
    assert one.features is not None and other.features is not None
    (score,) = evaluator.score_generation(one, other)
    (pair,) = evaluator.score_reconstruction(one, side(extractor, 50, 2))
    metric = "CMMD" if name == "cmmd" else "FD"
    assert score.name == f"{metric}[{extractor}]"
    assert pair.name == f"r{metric}[{extractor}]"
    assert score.n == 40
    after = side(extractor, 50, 2).features
    assert after is not None
    if name == "cmmd":
        assert score.value == gaussian_mmd(one.features.pool, other.features.pool).value
        assert "sigma=10;x1000;biased" in score.protocol
    else:
        expected = frechet_distance(one.features.pool, other.features.pool)
        assert score.value == pytest.approx(expected, abs=1e-12)
        paired = paired_frechet_estimate(one.features.pool, after.pool)
        assert (pair.value, pair.stderr) == (paired.value, paired.stderr)


@pytest.mark.parametrize("name", EVALUATORS)
def test_weights_that_are_not_known_to_be_published_are_said_with_every_score(name: str) -> None:
    evaluator = load_evaluator(name)
    assert not evaluator.fingerprint().trusted
    (score,) = evaluator.score_generation(side(EVALUATORS[name], 20, 0), side(EVALUATORS[name], 20, 1))
    assert score.note == vit.UNVERIFIED


def test_statistics_alone_serve_a_distance_and_no_kernel() -> None:
    whole = side("dinov2-vitl14", 50, 0)
    assert whole.features is not None
    alone = Side(
        name="statistics",
        fingerprint="",
        features=None,
        statistics={"pool": gaussian(whole.features.pool)},
        count=50,
    )
    samples = side("dinov2-vitl14", 40, 1)
    distance = load_evaluator("fd-dinov2")
    expected = distance.score_generation(whole, samples)[0].value
    assert distance.score_generation(alone, samples)[0].value == pytest.approx(expected, rel=1e-9)
    with pytest.raises(UserError, match="hold statistics alone"):
        load_evaluator("cmmd").score_generation(alone, samples)


def test_too_few_images_are_refused() -> None:
    with pytest.raises(UserError, match="5 samples"):
        load_evaluator("cmmd").score_generation(side("x", 20, 0), side("x", 5, 1))
