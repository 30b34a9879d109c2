from __future__ import annotations

import math

import pytest

from dar_bench.training.recipe import EmaConfig, ScheduleConfig
from dar_bench.training.schedules import ema_decay, learning_rate


def rate(step: int, total: int = 100, **config: object) -> float:
    return learning_rate(step, peak=2.0, schedule=ScheduleConfig(**config), total_steps=total)  # type: ignore[arg-type]


def test_warm_up_rises_in_equal_steps_to_the_peak() -> None:
    assert [rate(step, warmup_steps=4) for step in range(6)] == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]


def test_linear_decay_of_the_paper_holds_then_falls_then_stays() -> None:
    config = {"kind": "linear", "warmup_steps": 10, "decay_start": 40, "decay_end": 80, "final_lr": 1.0}
    assert [rate(step, **config) for step in (9, 39, 40, 50, 80, 99)] == [2.0, 2.0, 2.0, 1.75, 1.0, 1.0]


def test_cosine_decay_ends_with_the_training_by_default() -> None:
    config = {"kind": "cosine", "warmup_steps": 20, "final_lr": 0.5}
    assert rate(20, **config) == 2.0
    assert rate(60, **config) == pytest.approx(1.25)
    assert rate(40, **config) == pytest.approx(0.5 + 1.5 * (1 + math.cos(math.pi / 4)) / 2)
    assert rate(100, **config) == 0.5


def test_constant_ignores_the_end() -> None:
    assert rate(99, decay_end=50) == 2.0


def test_ema_ramp_reaches_the_decay() -> None:
    assert ema_decay(0, EmaConfig(decay=0.999)) == pytest.approx(0.1)
    assert ema_decay(90, EmaConfig(decay=0.999)) == pytest.approx(0.91)
    assert ema_decay(10**6, EmaConfig(decay=0.999)) == 0.999
    assert ema_decay(0, EmaConfig(decay=0.999, ramp=False)) == 0.999
