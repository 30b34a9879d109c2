from __future__ import annotations

import numpy as np
import pytest

from dar_bench.errors import UserError
from dar_bench.evaluators import embedded
from dar_bench.evaluators.base import Evaluator, Side
from dar_bench.evaluators.names import load_evaluator
from dar_bench.features.base import Features
from dar_bench.metrics.frechet_infinity import frechet_infinity
from dar_bench.metrics.moments import gaussian


class Weightless:
    """An extractor that needs no weights."""

    def __init__(self, name: str = "toy", device: str = "cpu"):
        self.name = name

    def fingerprint(self) -> str:
        return f"{self.name};sha256=00;none"

    def extract(self, images: object) -> Features:
        raise NotImplementedError


@pytest.fixture(autouse=True)
def extractors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "load_extractor", Weightless)


def side(n: int, seed: int) -> Side:
    pool = np.random.default_rng(seed).normal(size=(n, 6)).astype(np.float32)
    features = Features(pool=pool, probabilities=None, extractor="toy", fingerprint="toy;sha256=00;none")
    return Side(name="toys", fingerprint="", features=features, count=n)


@pytest.mark.parametrize("name", ["fd-infinity", "fd-infinity:toy"])
def test_the_score_is_the_metric_with_its_seed(name: str) -> None:
    evaluator = load_evaluator(name)
    assert isinstance(evaluator, Evaluator)
    assert evaluator.name == name
    reference, samples = side(100, 0), side(80, 1)
    assert reference.features is not None and samples.features is not None
    (score,) = evaluator.score_generation(reference, samples, seed=3)
    expected = frechet_infinity(reference.features.pool, samples.features.pool, seed=3)
    assert (score.name, score.value, score.stderr) == (
        "FD-infinity[toy]",
        expected.value,
        expected.stderr,
    )
    assert "seed=3" in score.protocol
    statistics = {"pool": gaussian(reference.features.pool)}
    alone = Side(name="x", fingerprint="", features=None, statistics=statistics, count=100)
    assert evaluator.score_generation(alone, samples, seed=3)[0].value == score.value


def test_what_it_cannot_score_is_refused() -> None:
    evaluator = load_evaluator("fd-infinity")
    with pytest.raises(UserError, match="Use at least 70 samples"):
        evaluator.score_generation(side(100, 0), side(60, 1))
    with pytest.raises(UserError, match="for generated images"):
        evaluator.score_reconstruction(side(100, 0), side(100, 1))
