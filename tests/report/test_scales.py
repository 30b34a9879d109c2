from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dar_bench.report.scales import Scale, fitted, label

NUMBERS = st.floats(-1e6, 1e6).filter(lambda value: value == 0 or abs(value) > 1e-6)


def test_a_scale_maps_its_ends_to_its_places() -> None:
    scale = Scale(10.0, 20.0, 300.0, 0.0)
    assert [scale(10.0), scale(15.0), scale(20.0)] == [300.0, 150.0, 0.0]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.0, 10.0, [0, 2, 4, 6, 8, 10]),
        (97.0, 121.0, [100, 105, 110, 115, 120]),
        (0.1, 0.32, [0.1, 0.15, 0.2, 0.25, 0.3]),
    ],
)
def test_ticks_are_round_numbers_inside_the_range(low: float, high: float, ticks: list[float]) -> None:
    assert Scale(low, high, 0.0, 1.0).ticks() == pytest.approx(ticks)


@given(st.lists(NUMBERS, min_size=1, max_size=8))
def test_every_value_has_a_place_inside_and_there_are_ticks(values: list[float]) -> None:
    scale = fitted(values, 50.0, 400.0)
    assert all(50.0 <= scale(value) <= 400.0 for value in values)
    assert 1 <= len(scale.ticks()) <= 7


def test_labels_have_no_needless_digits() -> None:
    assert [label(value) for value in (0.0, 2.5, 0.30000000000000004, 120000.0)] == [
        "0",
        "2.5",
        "0.3",
        "1.2e+05",
    ]
