"""Fixed sinusoids: what diffusion transformers tell a network about time and place.

Both follow DiT (Peebles and Xie, 2023), and their conventions differ: the time embedding has its cosines first,
the place embedding its sines. SiT, MAR and others took them over as they are.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def time_sinusoid(time: Tensor, width: int, max_period: float = 10000.0) -> Tensor:
    """Return ``[cos(t f_0), .., sin(t f_0), ..]`` with ``f_i = max_period ** (-i / (width / 2))``.

    Args:
        time: (B,), in the units that the model was trained with (DiT: whole steps from 0 to 999).
        width: even.

    Returns:
        float32 (B, width).
    """
    half = width // 2
    exponents = torch.arange(half, dtype=torch.float32, device=time.device)
    frequencies = torch.exp(-math.log(max_period) * exponents / half)
    angles = time.float()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1)


def place_sinusoids(rows: int, columns: int, width: int) -> Tensor:
    """Return the embedding of a row-major grid: first half of the channels for the column, second for the row.

    Each half is ``[sin(p w_0), .., cos(p w_0), ..]`` of the whole-number position p, with
    ``w_i = 10000 ** (-i / (width / 4))``; computed in float64.

    Args:
        width: a multiple of 4.

    Returns:
        float32 (rows * columns, width).
    """
    quarter = width // 4
    frequencies = 10000.0 ** (-torch.arange(quarter, dtype=torch.float64) / quarter)
    row = torch.arange(rows, dtype=torch.float64).repeat_interleave(columns)
    column = torch.arange(columns, dtype=torch.float64).repeat(rows)
    halves = []
    for position in (column, row):
        angles = position[:, None] * frequencies
        halves += [angles.sin(), angles.cos()]
    return torch.cat(halves, dim=1).float()
