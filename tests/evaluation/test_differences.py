from __future__ import annotations

from dataclasses import replace
from typing import Any

from dar_bench.evaluation.differences import differences, fingerprint_table, score_table
from dar_bench.evaluation.scoring import Scored
from dar_bench.evaluators.base import Fingerprint, Side
from dar_bench.results.record import Score

BASE = Fingerprint(
    evaluator="one",
    extractor="inception@12",
    resize="tf1-bilinear-299",
    rounding="float32",
    layer="pool_3",
    neighbours="k=3;float16",
    splits="5000-in-order",
    dtype="float64",
)


class Evaluator:
    def __init__(self, fingerprint: Fingerprint):
        self.name = fingerprint.evaluator
        self._fingerprint = fingerprint

    def fingerprint(self) -> Fingerprint:
        return self._fingerprint


def scored(fingerprint: Fingerprint, **values: float) -> Scored:
    scores = [Score(name=name, value=value, stderr=0.1, n=9) for name, value in values.items()]
    reference = Side(name="r", fingerprint="", features=None, count=9)
    evaluator: Any = Evaluator(fingerprint)
    return Scored(evaluator=evaluator, reference=reference, scores=scores)


def test_scores_of_one_name_share_a_row() -> None:
    results = [
        scored(BASE, FID=3.0, IS=200.0),
        scored(replace(BASE, evaluator="two"), **{"FID[clean]": 2.5, "KID": 0.5}),
    ]
    columns, rows = score_table(results)
    assert columns == ["score", "one", "two"]
    assert [row[0] for row in rows] == ["FID", "IS", "KID"]
    assert all(rows[0][1:]) and rows[1][2] == "" and rows[2][1] == ""


def test_every_choice_is_in_the_table() -> None:
    columns, rows = fingerprint_table(
        [scored(BASE), scored(replace(BASE, evaluator="two", splits="10-shuffled"))]
    )
    assert columns == ["choice", "one", "two"]
    assert {row[0]: row[1:] for row in rows}["splits"] == ["5000-in-order", "10-shuffled"]


def test_equal_choices_leave_nothing_to_say() -> None:
    assert differences([scored(BASE), scored(replace(BASE, evaluator="two"))]) == []


def test_one_sentence_for_each_choice_that_differs() -> None:
    two = replace(BASE, evaluator="two", resize="pil-bicubic-299", neighbours="")
    three = replace(BASE, evaluator="three", neighbours="k=3;float32")
    sentences = differences([scored(BASE), scored(two), scored(three)])
    assert [sentence.partition(":")[0] for sentence in sentences] == ["resize", "neighbours"]
    assert sentences[0] == (
        "resize: one and three: tf1-bilinear-299; two: pil-bicubic-299. "
        "The network sees other pixels, so every score moves."
    )
    # Who measures no precision has no part in how neighbours are counted.
    assert "two" not in sentences[1]


def test_of_other_networks_nothing_else_is_compared() -> None:
    other = replace(BASE, evaluator="two", extractor="lite@34", resize="bicubic-224", splits="one")
    (sentence,) = differences([scored(BASE), scored(other)])
    assert sentence.startswith("extractor: one uses inception; two uses lite.")


def test_one_network_run_by_other_code_is_one_network() -> None:
    other = replace(BASE, evaluator="two", extractor="inception[package]@34")
    assert differences([scored(BASE), scored(other)]) == []
