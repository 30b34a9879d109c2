"""Rotary position embeddings on adjacent channel pairs, driven by a table.

A table is float32 (positions, head_dim / 2, 2) with cosine and sine of every pair's angle. Models take the
table as an input, so that other layouts (2-D grids, rows that rotate by nothing or zero the vector) need no
other attention code.

Shapes: B sequences, n tokens, H heads, D channels of a head.
"""

from __future__ import annotations

import torch


def rotary_table(positions: int, head_dim: int, *, base: float = 10000.0) -> torch.Tensor:
    """Return the 1-D table: at position p, pair i is rotated by p * base**(-2i / head_dim).

    Angles are float32 products of float32 frequencies, as in the published Llama-type image models; float64
    angles would differ from theirs by about 1e-5 at position 256.

    Returns:
        float32 (positions, head_dim / 2, 2), on the CPU also while a model is built on the meta device.
    """
    exponents = torch.arange(0, head_dim, 2, device="cpu", dtype=torch.float32) / head_dim
    frequencies = 1.0 / base**exponents
    angles = torch.outer(torch.arange(positions, device="cpu", dtype=torch.float32), frequencies)
    return torch.stack((angles.cos(), angles.sin()), dim=-1)


def apply_rotary(x: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """Rotate channels (2i, 2i + 1) of ``x`` (B, n, H, D) by the angles in ``table`` (n, D / 2, 2).

    Computed in float32 and cast back to the type of ``x``.
    """
    pairs = x.float().unflatten(-1, (-1, 2))  # type: ignore[no-untyped-call]
    if torch.compiler.is_compiling():
        # Compilers fuse real arithmetic, but do not generate code for complex numbers.
        even, odd = pairs.unbind(-1)
        cos, sin = table[:, None].unbind(-1)
        rotated = torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1)
    else:
        # The same products as one complex multiplication: a third of the time of separate calls.
        rotated = torch.view_as_real(torch.view_as_complex(pairs) * torch.view_as_complex(table)[:, None])
    return rotated.flatten(-2).to(x.dtype)


def grid_rotary_table(side: int, head_dim: int, *, base: float = 10000.0) -> torch.Tensor:
    """Return the table of a class position followed by a square grid, row after row (LlamaGen, arXiv 2406.06525).

    The first half of the pairs turns by ``row * f_j``, the second by ``column * f_j``, with
    ``f_j = base**(-2 j / (head_dim / 2))``. The class position has cosine and sine 0, as published: its query and key
    become zero vectors, so that it is seen by all with a logit of exactly 0.

    Args:
        side: rows and columns of the grid.
        head_dim: a multiple of 4.

    Returns:
        float32 (1 + side * side, head_dim / 2, 2), on the CPU also while a model is built on the meta device.
    """
    half = head_dim // 2
    frequencies = 1.0 / base ** (torch.arange(0, half, 2, device="cpu", dtype=torch.float32) / half)
    angles = torch.outer(torch.arange(side, device="cpu", dtype=torch.float32), frequencies)
    rows = angles[:, None].expand(side, side, -1)
    columns = angles[None].expand(side, side, -1)
    places = torch.cat((rows, columns), dim=-1).flatten(0, 1)
    table = torch.stack((places.cos(), places.sin()), dim=-1)
    return torch.cat((torch.zeros_like(table[:1]), table))
