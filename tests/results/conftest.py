from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from dar_bench.results.record import Cost, Environment, Evaluator, Model, Record, Score

MakeRecord = Callable[..., Record]


def make_score(name: str = "FD[toy]", value: float = 12.345, stderr: float | None = 0.25) -> Score:
    return Score(name=name, value=value, stderr=stderr, n=500, protocol="embedded/1;toy")


@pytest.fixture
def make_record() -> MakeRecord:
    """A function that makes a complete record, with some fields changed."""

    def make(**changes: Any) -> Record:
        fields: dict[str, Any] = {
            "kind": "generation",
            "model": Model(
                name="dar-tiny",
                weights_sha256="ab" * 32,
                parameters=1234567,
                tokenizer="dar-tiny-tokenizer",
                tokenizer_sha256="cd" * 32,
            ),
            "options": {"cfg": "linear:1.1-8.0", "steps": 8, "top-k": None},
            "seeds": {"run": 0},
            "samples": 500,
            "evaluator": Evaluator(
                name="embedded", extractor="toy", reference="emoji64:train", reference_count=2000
            ),
            "scores": [make_score(), make_score("IS[toy]", 4.5, 0.1)],
            "environment": Environment(device="cpu", precision="float32", packages={"torch": "2.14.1"}),
            "cost": Cost(seconds=12.5, images_per_second=40.0),
            "command": ["dar-bench", "eval", "gfid"],
            "created": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        }
        return Record(**(fields | changes))

    return make
