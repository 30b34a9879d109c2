"""Learning rate and EMA decay as pure functions of the step, so that resuming needs no state."""

from __future__ import annotations

import math

from dar_bench.training.recipe import EmaConfig, ScheduleConfig


def learning_rate(step: int, *, peak: float, schedule: ScheduleConfig, total_steps: int) -> float:
    """Return the rate of the update number ``step`` (counted from 0).

    The warm-up rises linearly and reaches ``peak`` at the last warm-up step, so that no update has rate 0.
    The decay goes from ``peak`` at ``decay_start`` to ``final_lr`` at ``decay_end`` (the D-AR paper's AR
    recipe: constant to step 300k, then linear to 1e-5 at 360k).
    """
    if step < schedule.warmup_steps:
        return peak * (step + 1) / schedule.warmup_steps
    if schedule.kind == "constant":
        return peak
    start = max(schedule.decay_start, schedule.warmup_steps)
    end = total_steps if schedule.decay_end is None else schedule.decay_end
    progress = min(max((step - start) / max(end - start, 1), 0.0), 1.0)
    if schedule.kind == "linear":
        return peak + (schedule.final_lr - peak) * progress
    return schedule.final_lr + (peak - schedule.final_lr) * 0.5 * (1.0 + math.cos(math.pi * progress))


def ema_decay(step: int, config: EmaConfig) -> float:
    """Return the EMA decay after the update number ``step`` (counted from 0)."""
    if not config.ramp:
        return config.decay
    return min(config.decay, (1.0 + step) / (10.0 + step))
