"""Guidance schedules: their values, their text form, and what a malformed text is told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dar_bench import plugins
from dar_bench.api import Plugin
from dar_bench.errors import UserError
from dar_bench.plugins import PluginStatus, Registry
from dar_bench.sampling.guidance import (
    Constant,
    Cosine,
    Interval,
    Linear,
    NoGuidance,
    Power,
    Schedule,
    parse_schedule,
)

NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=64)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none", [1, 1, 1, 1, 1]),
        ("1.5", [1.5, 1.5, 1.5, 1.5, 1.5]),
        ("-2e-1", [-0.2, -0.2, -0.2, -0.2, -0.2]),
        ("linear:1-3", [1, 1.5, 2, 2.5, 3]),
        ("linear:2--2", [2, 1, 0, -1, -2]),
        ("linear:1e1--1E+1", [10, 5, 0, -5, -10]),
        ("cosine:0-2", [0, 1 - 0.5**0.5, 1, 1 + 0.5**0.5, 2]),
        ("power:0-64", [0, 1, 8, 27, 64]),
        ("power:0-16:2", [0, 1, 4, 9, 16]),
        ("interval:4:0.2-0.6", [1, 4, 4, 1, 1]),
        ("interval:0.5:0-1", [0.5, 0.5, 0.5, 0.5, 0.5]),
    ],
)
def test_values(text: str, expected: list[float]) -> None:
    scales = parse_schedule(text).scales(5)
    assert scales.dtype == np.float64
    np.testing.assert_allclose(scales, expected, rtol=1e-15, atol=1e-15)


@pytest.mark.parametrize("kind", [Linear, Cosine, Power])
def test_both_ends_are_exact(kind: type[Linear]) -> None:
    # 0.3 + (1.0 - 0.3) is not 1.0 in floating point; a scale that is exactly 1 saves a forward pass.
    for start, end in ((0.3, 1.0), (1.1, 8.0), (1.0, 1.2)):
        scales = kind(start, end).scales(256)
        assert (scales[0], scales[-1]) == (start, end)
    assert (kind(1.0, 1.0).scales(256) == 1.0).all()


def test_a_single_token_has_the_first_scale() -> None:
    assert parse_schedule("linear:1.1-8.0").scales(1).tolist() == [1.1]


def test_interval_includes_its_start_and_not_its_end() -> None:
    scales = parse_schedule("interval:3:0.3-0.7").scales(10)
    assert np.flatnonzero(scales == 3.0).tolist() == [3, 4, 5, 6]


@pytest.mark.parametrize(
    "text", ["none", "1.5", "linear:1.1-8.0", "cosine:1.1--8.0", "power:1.0-8.0:3.0", "interval:4.0:0.2-0.8"]
)
def test_canonical_text(text: str) -> None:
    assert str(parse_schedule(text)) == text


@given(
    st.one_of(
        st.just(NoGuidance()),
        st.builds(Constant, NUMBERS),
        st.builds(Linear, NUMBERS, NUMBERS),
        st.builds(Cosine, NUMBERS, NUMBERS),
        st.builds(Power, NUMBERS, NUMBERS, st.floats(0, 100, exclude_min=True)),
        st.builds(Interval, NUMBERS, st.floats(0, 0.5, exclude_max=True), st.floats(0.5, 1)),
    )
)
def test_text_round_trip(schedule: Schedule) -> None:
    assert parse_schedule(str(schedule)) == schedule


@pytest.mark.parametrize(
    "text",
    [
        "",
        "none:1",
        "1,5",
        "1.5x",
        "1e999",
        "linear",
        "linear:",
        "linear:1.1",
        "linear:1.1-",
        "linear:1.1-8.0-9.0",
        "linear:1.1:8.0",
        "linear:1.1-8.0:3",
        "linear:a-b",
        "power:1-2:",
        "power:1-2:x",
        "power:1-2:0",
        "power:1-2:-1",
        "interval:4",
        "interval:4:0.5",
        "interval:4:0.8-0.2",
        "interval:4:-0.1-0.5",
        "interval:4:0.5-1.5",
        "interval:4:0.5-0.5",
        "constant:2",
        ":1-2",
    ],
)
def test_malformed_texts(text: str) -> None:
    with pytest.raises(UserError, match="Malformed guidance schedule") as caught:
        parse_schedule(text)
    assert f"'{text}'" in caught.value.what
    assert "linear:1.1-8.0" in caught.value.hint


def test_a_malformed_text_of_a_known_kind_is_told_its_form() -> None:
    with pytest.raises(UserError) as caught:
        parse_schedule("interval:4:0.5")
    assert caught.value.why == "This kind is written like interval:4.0:0.2-0.8."


@pytest.mark.parametrize("text", ["nan", "inf", "guided", "a-name:1-2"])
def test_unknown_names(text: str) -> None:
    with pytest.raises(UserError, match=f"Unknown guidance schedule '{text.partition(':')[0]}'") as caught:
        parse_schedule(text)
    assert "linear:1.1-8.0" in caught.value.hint


def test_an_unknown_name_is_suggested_the_nearest() -> None:
    with pytest.raises(UserError, match="Unknown guidance schedule 'liner'") as caught:
        parse_schedule("liner:1-2")
    assert caught.value.why == "Did you mean 'linear'?"


class Sawtooth(Schedule):
    """A schedule as a plugin may bring it."""

    def __init__(self, arguments: str):
        self.period = int(arguments)

    def scales(self, count: int) -> np.ndarray:
        return 1.0 + np.arange(count) % self.period

    def __str__(self) -> str:
        return f"sawtooth:{self.period}"


def broken_schedule(arguments: str) -> int:
    return len(arguments)


@pytest.fixture
def with_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = {"sawtooth": f"{__name__}:Sawtooth", "broken": f"{__name__}:broken_schedule"}
    plugin = Plugin(name="waves", schedules=offered)
    status = PluginStatus(name="waves", distribution="waves", version="1", plugin=plugin)
    monkeypatch.setattr(plugins, "registry", lambda: Registry([status]))


@pytest.mark.usefixtures("with_plugin")
def test_plugins_add_schedules() -> None:
    schedule = parse_schedule("sawtooth:3")
    assert schedule.scales(5).tolist() == [1, 2, 3, 1, 2]
    assert str(schedule) == "sawtooth:3"


@pytest.mark.usefixtures("with_plugin")
def test_a_plugin_schedule_that_is_none_is_named() -> None:
    with pytest.raises(UserError, match="'broken' of a plugin does not work") as caught:
        parse_schedule("broken:3")
    assert "returned int" in caught.value.why
