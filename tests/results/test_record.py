from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from dar_bench.results.environment import current_environment
from dar_bench.results.record import (
    Cost,
    Curve,
    Environment,
    Evaluator,
    Model,
    Record,
    Score,
)

MakeRecord = Callable[..., Record]


def test_survives_json(make_record: MakeRecord) -> None:
    record = make_record(curves=[Curve(name="loss", steps=[1, 2], values=[0.1, 1 / 3])])
    assert Record.model_validate_json(record.model_dump_json()) == record


def test_every_field_is_documented() -> None:
    for part in (Record, Score, Model, Evaluator, Environment, Cost, Curve):
        undocumented = [name for name, field in part.model_fields.items() if not field.description]
        assert undocumented == [], f"{part.__name__}: {undocumented}"


def test_content_hash_leaves_out_the_date_and_nothing_else(make_record: MakeRecord) -> None:
    record = make_record()
    later = make_record(created=record.created + timedelta(days=1))
    assert later.content_hash() == record.content_hash()
    changed: list[dict[str, Any]] = [
        {"seeds": {"run": 1}},
        {"samples": 501},
        {"scores": list(record.scores[:1])},
        {"options": {"cfg": "none"}},
        {"cost": Cost(seconds=12.6)},
        {"note": "x"},
    ]
    hashes = {make_record(**change).content_hash() for change in changed}
    assert len(hashes) == len(changed) and record.content_hash() not in hashes


def test_order_of_options_does_not_change_the_hash(make_record: MakeRecord) -> None:
    one = make_record(options={"a": 1, "b": 2})
    other = make_record(options={"b": 2, "a": 1})
    assert one.content_hash() == other.content_hash()


def test_paths_of_the_machine_do_not_enter(make_record: MakeRecord) -> None:
    record = make_record(
        options={"data": "/home/anna/set", "nested": {"files": ["/tmp/anna/a.npz", 3]}},
        command=["dar-bench", "--data=/home/anna/set"],
        unavailable={"LPIPS[alex]": "It is neither in '/home/anna/store' nor elsewhere."},
        note="copied from /home/anna/notes",
        evaluator=Evaluator(name="embedded", reference="/home/anna/ref.npz"),
    )
    assert "anna" not in record.model_dump_json()
    assert record.options == {"data": "set", "nested": {"files": ["a.npz", 3]}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema_version": 3}, "schema version 3, this dar-bench reads up to 2"),
        ({"colour": "red"}, "Extra inputs"),
        ({"kind": "poetry"}, "generation"),
        ({"samples": -1}, "greater than or equal to 0"),
        ({"options": {"temperature": float("nan")}}, "options.temperature is nan"),
        ({"options": {"list": [1, {2}]}}, r"options.list\[1\] is of type set"),
        ({"options": {"x": {1: 2}}}, "options.x has a key that is not a text"),
        ({"model": {"name": "m"}}, "needs the hash"),
        ({"model": {"name": "m", "weights_sha256": "ab"}}, "pattern"),
        ({"origin": "reported"}, "needs its source"),
        ({"created": datetime(2026, 1, 1)}, "no time zone"),
        ({"scores": [{"name": "FD", "value": 1.0, "n": 5}]}, "FD has neither"),
        ({"scores": [{"name": "FD", "value": float("inf"), "n": 5, "stderr": 1.0}]}, "finite"),
        ({"scores": [{"name": "FD", "value": 1.0, "n": 5, "interval": (2.0, 1.0)}]}, "upside down"),
        ({"scores": [{"name": "FD", "value": 1.0, "n": 5, "stderr": 1.0}] * 2}, "FD occurs twice"),
        ({"curves": [{"name": "loss", "steps": [1, 2], "values": [1.0]}]}, "2 steps and 1 values"),
        ({"curves": [{"name": "loss", "steps": [2, 2], "values": [1.0, 1.0]}]}, "do not rise"),
    ],
)
def test_wrong_records_are_refused(make_record: MakeRecord, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        make_record(**changes)


def test_reported_scores_need_no_error(make_record: MakeRecord) -> None:
    record = make_record(
        origin="reported",
        source="arXiv:2505.23660, Table 3, row D-AR-L",
        model=Model(name="dar-l"),
        scores=[Score(name="FID", value=2.44, n=50000)],
    )
    assert record.score("FID") is not None and record.scores[0].bounds() is None
    assert record.score("IS") is None


def test_bounds_come_from_the_interval_or_the_error() -> None:
    assert Score(name="a", value=1.0, n=1, stderr=0.5).bounds() == pytest.approx((0.02, 1.98))
    assert Score(name="a", value=1.0, n=1, stderr=0.5, interval=(0.9, 2.0)).bounds() == (0.9, 2.0)


def test_default_date_is_now_in_utc() -> None:
    record = Record(kind="training", model=Model(name="m", weights_sha256="0" * 64), samples=0)
    assert abs(record.created - datetime.now(UTC)) < timedelta(minutes=1)
    assert record.created.utcoffset() == timedelta(0)


def test_environment_names_versions_and_not_the_host() -> None:
    import platform

    environment = current_environment("cpu", "float32")
    assert environment.device == "cpu" and environment.precision == "float32"
    assert {"torch", "numpy", "timm"} <= set(environment.packages)
    assert platform.node() not in environment.model_dump_json()
