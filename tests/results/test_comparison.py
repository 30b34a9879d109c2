"""Differences of records: their errors by simulation, and what may be compared at all."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dar_bench.results.comparison import (
    changed_share,
    compare_records,
    model_reasons,
    protocol_reasons,
    rounding_error,
)
from dar_bench.results.record import Evaluator, Model, Record, Score
from dar_bench.sketches import Sketch

MakeRecord = Callable[..., Record]


def fd(value: float, stderr: float | None = 0.3, **changes: Any) -> Score:
    return Score(
        **({"name": "FD[toy]", "value": value, "stderr": stderr, "n": 500, "protocol": "p"} | changes)
    )


def sketch(influences: np.ndarray[Any, Any]) -> Sketch:
    count = len(influences)
    return Sketch(
        indices=np.arange(count),
        images=np.zeros((count, 8), dtype=np.uint8),
        codes=None,
        features=np.zeros((count, 2), dtype=np.float32),
        influences={"FD": influences.astype(np.float32)},
        extractor="toy",
    )


def test_independent_runs_add_their_variances(make_record: MakeRecord) -> None:
    one = make_record(scores=[fd(10.0, 0.3)])
    other = make_record(scores=[fd(11.0, 0.4)], seeds={"run": 1})
    (difference,) = compare_records(one, other)
    assert difference.value == 1.0 and difference.stderr == pytest.approx(0.5)
    assert difference.standard_errors == pytest.approx(2.0) and difference.separable is True
    assert difference.reasons == () and difference.correlation == 0.0


def test_common_random_numbers_sharpen_the_comparison(make_record: MakeRecord) -> None:
    random = np.random.default_rng(0)
    common = random.normal(size=200)
    pair = (
        sketch(common + 0.5 * random.normal(size=200)),
        sketch(common + 0.5 * random.normal(size=200)),
    )
    one, other = make_record(scores=[fd(10.0)]), make_record(scores=[fd(10.5)])
    (paired,) = compare_records(one, other, pair)
    # The correlation is 1 / 1.25 = 0.8; Fisher's lower bound at n = 200 lies 1.645 / sqrt(197) below in atanh.
    assert 0.65 < paired.correlation < 0.8
    assert paired.stderr == pytest.approx(math.sqrt(2 * 0.3**2 * (1 - paired.correlation)))
    (alone,) = compare_records(one, make_record(scores=[fd(10.5)], seeds={"run": 1}), pair)
    assert alone.correlation == 0.0, "another seed draws other numbers"
    assert paired.separable is True and alone.separable is False


def test_the_paired_error_covers_the_true_spread() -> None:
    # Means of two correlated samples stand for any score that is nearly a mean of influences.
    random = np.random.default_rng(1)
    inside, runs = 0, 400
    for _ in range(runs):
        common = random.normal(size=300)
        one, other = common + random.normal(size=300), common + random.normal(size=300) + 0.2
        scores = [fd(float(x.mean()), float(x.std(ddof=1) / math.sqrt(300)), n=300) for x in (one, other)]
        records = [
            Record(
                kind="generation",
                model=Model(name="m", weights_sha256="0" * 64),
                samples=300,
                seeds={"run": 0},
                scores=[score],
            )
            for score in scores
        ]
        chosen = slice(0, 200)
        (found,) = compare_records(*records, (sketch(one[chosen]), sketch(other[chosen])))
        assert found.stderr is not None
        inside += abs(found.value - 0.2) <= 1.96 * found.stderr
    # At 95 % coverage 380 of 400 are expected, with a deviation of 4.4; the bound on the correlation adds some.
    assert inside >= 380 - 3 * 4.4


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"evaluator": Evaluator(name="native", extractor="toy")}, "other evaluator: embedded and native"),
        ({"samples": 400}, "other sample count: 500 and 400"),
        ({"kind": "reconstruction"}, "other kind"),
    ],
)
def test_other_protocols_are_named(make_record: MakeRecord, changes: dict[str, Any], said: str) -> None:
    assert said in "; ".join(protocol_reasons(make_record(), make_record(**changes)))


def test_other_references_are_told_by_their_content(make_record: MakeRecord) -> None:
    sides = [
        make_record(
            evaluator=Evaluator(
                name="embedded",
                reference="emoji64:train",
                reference_fingerprint=content,
                reference_count=count,
            )
        )
        for content, count in (("a", 100), ("b", 200))
    ]
    assert protocol_reasons(*sides) == [
        "other reference: emoji64:train and emoji64:train of 100 and 200 images"
    ]


def test_protocols_and_counts_of_single_scores(make_record: MakeRecord) -> None:
    one = make_record(scores=[fd(1.0), fd(1.0, name="IS[toy]"), fd(1.0, name="KD[toy]")])
    other = make_record(scores=[fd(1.0, protocol="q"), fd(1.0, name="IS[toy]", n=400), fd(1.0, name="x")])
    first, second = compare_records(one, other)
    assert first.reasons == ("other protocol: 'p' and 'q'",)
    assert second.reasons == ("other sample count: 500 and 400",)


def test_models_are_the_same_by_weights_and_options(make_record: MakeRecord) -> None:
    one = make_record()
    assert model_reasons(one, make_record(seeds={"run": 3}, samples=7)) == []
    said = model_reasons(one, make_record(options={"cfg": "2.0", "steps": 8.0, "top-k": None, "jump": "x"}))
    assert said == ["other option cfg: linear:1.1-8.0 and 2.0", "other option jump: None and x"]
    model = one.model.model_copy(update={"weights_sha256": "ef" * 32})
    assert model_reasons(one, make_record(model=model)) == ["other weights: abababababab and efefefefefef"]


def test_a_publication_is_held_only_to_what_it_states(make_record: MakeRecord) -> None:
    stated = Record(
        kind="generation",
        origin="reported",
        source="T",
        model=Model(name="dar-tiny"),
        options={"cfg": "linear:1.1-8.0", "codebook-size": 5},
        samples=500,
    )
    assert model_reasons(stated, make_record()) == []
    assert model_reasons(stated, make_record(options={"cfg": "none"})) == [
        "other option cfg: linear:1.1-8.0 and none"
    ]


def test_the_share_of_changed_samples_is_bounded_exactly() -> None:
    # None of 200 seen: (1 - q)^200 = 1 %.
    assert changed_share(0, 200) == pytest.approx(1 - 0.01 ** (1 / 200))
    assert changed_share(200, 200) == 1.0 and changed_share(0, 0) == 1.0
    random = np.random.default_rng(2)
    covered = np.mean([changed_share(k, 200) >= 0.05 for k in random.binomial(200, 0.05, 2000)])
    assert covered >= 0.99 - 3 * math.sqrt(0.99 * 0.01 / 2000)


def test_printed_digits_leave_an_error() -> None:
    assert rounding_error(2.44) == pytest.approx(0.01 / math.sqrt(12))
    assert rounding_error(182.1) == pytest.approx(0.1 / math.sqrt(12))
