"""Verdicts follow from standard errors, and false alarms come as often as the rule says."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from dar_bench.checks.judging import judge_record
from dar_bench.results.record import Evaluator, Model, Record, Score
from dar_bench.sketches import Sketch


def record(
    value: float, *, seed: int = 0, stderr: float | None = 1.0, n: int = 400, **changes: Any
) -> Record:
    fields: dict[str, Any] = {
        "kind": "generation",
        "model": Model(name="m", weights_sha256="0" * 64),
        "options": {"cfg": "2.0"},
        "seeds": {"run": seed},
        "samples": n,
        "evaluator": Evaluator(name="embedded", extractor_fingerprint="toy", reference_fingerprint="r"),
        "scores": [Score(name="FD[toy]", value=value, stderr=stderr, n=n, protocol="p")],
    }
    return Record(**(fields | changes))


def sketches(changed: int) -> tuple[Sketch, Sketch]:
    features = np.random.default_rng(0).normal(size=(200, 32)).astype(np.float32)
    images = np.zeros((200, 8), dtype=np.uint8)
    images[:, 0] = np.arange(200)
    other, moved = images.copy(), features.copy()
    other[:changed, 1] = 1
    moved[:changed] = -features[:changed]
    return tuple(
        Sketch(indices=np.arange(200), images=i, codes=None, features=f, extractor="toy")
        for i, f in ((images, features), (other, moved))
    )  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("away", "changed", "verdict"),
    [
        # Independent runs: three times sqrt(2).
        (4.2, None, "matches"),
        (4.3, None, "drifted"),
        # The same samples: at most 2.28 % of them are new, so the limit is 3 sqrt(2) sqrt(0.0228) = 0.64.
        (0.63, 0, "matches"),
        (0.65, 0, "drifted"),
        # 20 of 200 changed: at most 16.0 % are new, 3 sqrt(2) 0.400 = 1.70.
        (1.6, 20, "matches"),
        (1.8, 20, "drifted"),
        (4.2, 200, "matches"),
    ],
)
def test_the_limit_follows_from_how_many_samples_changed(
    away: float, changed: int | None, verdict: str
) -> None:
    pair = None if changed is None else sketches(changed)
    found = judge_record(record(100.0), record(100.0 + away), limit=3.0, sketches=pair)
    assert found[0] == verdict and found[1][0].verdict == verdict
    sharper = judge_record(record(100.0), record(100.0 + away), limit=30.0, sketches=pair)
    assert sharper[0] == "matches"


def test_another_seed_is_another_sample() -> None:
    found = judge_record(record(100.0), record(104.0, seed=1), limit=3.0, sketches=sketches(0))
    assert found[0] == "matches" and found[3] is None
    assert found[1][0].standard_errors == pytest.approx(4.0 / math.sqrt(2), rel=1e-6)


def test_false_alarms_are_as_rare_as_the_rule_says() -> None:
    # A share of 5 % of the samples is drawn anew; the score is a mean. Three standard errors leave at most 0.27 %.
    random = np.random.default_rng(3)
    alarms, runs, n = 0, 400, 400
    for _ in range(runs):
        old = random.normal(size=n)
        new = old.copy()
        turned = random.random(n) < 0.05
        new[turned] = random.normal(size=int(turned.sum()))
        error = 1 / math.sqrt(n)
        pair = sketches(int(turned[:200].sum()))
        verdict = judge_record(
            record(float(old.mean()), stderr=error),
            record(float(new.mean()), stderr=error),
            limit=3.0,
            sketches=pair,
        )[0]
        alarms += verdict == "drifted"
    assert alarms <= 5, "expected are at most 1.1 of 400; five or more happen in less than one case of 100"


def test_the_samples_themselves_can_be_demanded() -> None:
    same = {"limit": 3.0, "same_samples": True}
    assert judge_record(record(1.0), record(1.0), sketches=sketches(8), **same)[0] == "matches"
    verdict, _, reason, _ = judge_record(record(1.0), record(1.0), sketches=sketches(9), **same)
    assert verdict == "drifted" and "9 are other images" in reason
    verdict, _, reason, _ = judge_record(record(1.0), record(1.0), **same)
    assert verdict == "not comparable" and "sketch" in reason


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": Model(name="m", weights_sha256="1" * 64)}, "other weights"),
        ({"options": {"cfg": "none"}}, "other option cfg: 2.0 and none"),
        ({"n": 300}, "other sample count: 400 and 300"),
        ({"evaluator": Evaluator(name="native")}, "other evaluator: embedded and native"),
        (
            {
                "evaluator": Evaluator(
                    name="embedded", extractor_fingerprint="other", reference_fingerprint="r"
                )
            },
            "other extractor",
        ),
        (
            {"evaluator": Evaluator(name="embedded", extractor_fingerprint="toy", reference_fingerprint="s")},
            "other reference",
        ),
        (
            {"scores": [Score(name="FD[toy]", value=1.0, stderr=1.0, n=400, protocol="q")]},
            "other protocol: 'p'",
        ),
        ({"scores": [Score(name="KD[toy]", value=1.0, stderr=1.0, n=400)]}, "FD[toy] was not measured"),
    ],
)
def test_what_is_not_comparable_says_why(changes: dict[str, Any], said: str) -> None:
    verdict, _, reason, _ = judge_record(record(1.0), record(1.0, **changes), limit=3.0)
    assert verdict == "not comparable" and said in reason


def test_published_scores_take_our_error_and_their_rounding() -> None:
    stated = Record(
        kind="generation",
        origin="reported",
        source="Table",
        model=Model(name="m"),
        options={"cfg": "2.0"},
        samples=400,
        scores=[Score(name="FD[toy]", value=2.4, n=400, protocol="reported;adm")],
    )
    verdict, scores, _, _ = judge_record(stated, record(2.5, stderr=0.02), limit=3.0)
    assert verdict == "matches"
    error = math.sqrt(0.02**2 + 0.02**2 + 0.1**2 / 12)
    assert scores[0].standard_errors == pytest.approx(0.1 / error, rel=1e-6)


def test_shares_of_nought_and_one_have_the_width_of_their_interval() -> None:
    def share(value: float) -> Record:
        score = Score(name="recall", value=value, stderr=0.0, interval=(0.0, 0.0566), n=400, protocol="p")
        return record(1.0, scores=[score])

    assert judge_record(share(0.0), share(0.05), limit=3.0)[0] == "matches"
    assert judge_record(share(0.0), share(0.07), limit=3.0)[0] == "drifted"


def test_only_the_named_scores_count() -> None:
    two = [Score(name=name, value=1.0, stderr=0.1, n=400, protocol="p") for name in ("a", "b")]
    moved = [two[0], two[1].model_copy(update={"value": 9.0})]
    assert judge_record(record(1.0, scores=two), record(1.0, scores=moved), limit=3.0)[0] == "drifted"
    assert (
        judge_record(record(1.0, scores=two), record(1.0, scores=moved), limit=3.0, names=("a",))[0]
        == "matches"
    )
    verdict, _, reason, _ = judge_record(
        record(1.0, scores=two), record(1.0, scores=two), limit=3.0, names=("c",)
    )
    assert verdict == "not comparable" and "no score 'c'" in reason
