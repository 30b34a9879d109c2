"""Flow time and condition groups: which tokens steer which diffusion step (paper, equations 5 and 8)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dar_bench_dar.model.config import TokenizerConfig


def shifted_time(u: float, beta: float) -> float:
    """Return the flow time t of the uniform time u in [0, 1]: ``u / (u + beta (1 - u))`` (equation 8)."""
    return u / (u + beta * (1.0 - u))


def group_start(u: float, tokens: int, groups: int) -> int:
    """Return the first token of the group that conditions uniform time ``u``.

    The published code rounds u K to the nearest group where equation 5 takes the ceiling: every group is
    centred on its own sampling step. The last group also serves u near 1.
    """
    nearest = math.floor(u * groups + 0.5)
    return min(math.floor(nearest / groups * tokens), tokens - tokens // groups)


def group_starts(u: Tensor, tokens: int, groups: int) -> Tensor:
    """``group_start`` for a batch of times, int64 of the shape of ``u``."""
    nearest = (u * groups + 0.5).floor()
    return (nearest / groups * tokens).floor().long().clamp_(max=tokens - tokens // groups)


@dataclass(frozen=True)
class DiffusionStep:
    """One step of the sampling schedule.

    Attributes:
        time, next_time: flow times at its start and end.
        first_token, last_token: its conditions are tokens ``first_token`` up to, not including, ``last_token``.
    """

    time: float
    next_time: float
    first_token: int
    last_token: int


def sampling_schedule(config: TokenizerConfig, steps: int) -> tuple[DiffusionStep, ...]:
    """Return the steps that decode a full token sequence with ``steps`` network evaluations (Euler counted)."""
    uniform = [i / steps for i in range(steps)]
    times = [shifted_time(u, config.beta) for u in uniform] + [1.0]
    starts = [group_start(u, config.tokens, config.groups) for u in uniform]
    return tuple(
        DiffusionStep(times[i], times[i + 1], starts[i], starts[i] + config.group_size) for i in range(steps)
    )


def training_time(u: Tensor, beta: float) -> Tensor:
    """``shifted_time`` for a batch of uniform times."""
    return u / (u + beta * (1.0 - u))


def window(conditions: Tensor, starts: Tensor, size: int) -> Tensor:
    """Gather ``size`` consecutive rows per sample: (B, N, C) at ``starts`` (B,) to (B, size, C)."""
    rows = starts[:, None] + torch.arange(size, device=starts.device)
    return conditions.gather(1, rows[..., None].expand(-1, -1, conditions.shape[-1]))
