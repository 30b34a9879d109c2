"""Rotary position embedding for patch grids: half of a head turns with the row, half with the column.

Shape legend: L positions, D head width; adjacent channels (2i, 2i+1) form pair i.
"""

from __future__ import annotations

import torch
from torch import Tensor


def grid_rotation(rows: int, columns: int, head_dim: int, theta: float = 10000.0) -> Tensor:
    """Return the angles of a row-major patch grid, float32 (rows * columns, head_dim / 2).

    The first half of the pairs turns by ``row * f_i``, the second by ``column * f_i``, with
    ``f_i = theta ** (-2 i / (head_dim / 2))`` and integer coordinates; computed in float64.
    """
    half = head_dim // 2
    frequencies = theta ** (-torch.arange(0, half, 2, dtype=torch.float64) / half)  # (D/4,)
    row = torch.arange(rows, dtype=torch.float64).repeat_interleave(columns)
    column = torch.arange(columns, dtype=torch.float64).repeat(rows)
    return torch.cat([row[:, None] * frequencies, column[:, None] * frequencies], dim=1).float()


def rotation_table(angles: Tensor, identity_rows: int = 0) -> Tensor:
    """Return the table that ``rotate`` takes, float32 (2, L, D), followed by ``identity_rows`` rows that turn nothing.

    Row 0 holds every pair's cosine twice, row 1 its sine with the signs (-, +), so that a rotation is two products
    and a sum. Positions without a place on the grid (the query tokens) take the identity (appendix I of the paper).
    """
    still = angles.new_zeros(identity_rows, angles.shape[1])
    every = torch.cat([angles, still])
    cosines = every.cos().repeat_interleave(2, dim=1)
    sines = torch.stack([-every.sin(), every.sin()], dim=-1).flatten(1)
    return torch.stack([cosines, sines])


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Turn the adjacent pairs of ``x`` (B, heads, L, D) by ``table`` (2, L, D); computed in float32."""
    wide = x.float()
    swapped = wide.reshape(*wide.shape[:-1], -1, 2).flip(-1).flatten(-2)
    return torch.addcmul(wide * table[0], swapped, table[1]).to(x.dtype)
