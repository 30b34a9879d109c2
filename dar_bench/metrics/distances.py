"""Squared distances between points of two sets, in float32 or in ADM's float16.

A distance is computed from a float32 product of two points, in float32 or as ``half_distances`` has it. The last bit of
such a product depends on the order of its sum, which the library chooses by the shape of the matrices, but on most
machines not among large ones: there every element is summed alike. So single pairs are taken from the diagonals of
products of 512 x 512 points, which gives the numbers of a product of a whole tile; tiles below that size are computed
whole, and all are where a machine turns out to sum otherwise (``sums_alike``).

A block of 10,000 x 10,000 distances in ADM's float16 with one value that is not finite is computed again in float32,
all of it, as a plain product of the features as they came.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dar_bench.metrics.estimate import FloatArray
from dar_bench.metrics.half_distances import half_distances, half_norms
from dar_bench.metrics.outlines import Outline, outlines

ADM_BLOCK = 10_000
"""Rows and columns of the blocks whose precision ADM decides one by one."""

TILE = 1024
"""Rows and columns of a tile: its float32 products (4 MB) stay near the cache."""

Arithmetic = Literal["float32", "adm-float16"]

# Below this largest norm no distance can overflow: |u - v|^2 is at most four times it, and so are all partial sums.
_SAFE_NORM = 65504 / 4 * 0.98

GROUP = 512
"""Rows and columns from which on a product's elements do not depend on its shape, where ``sums_alike`` says so."""


@dataclass(frozen=True)
class Points:
    """A set of points, ready for distances.

    Attributes:
        values: (n, D), float32, or float16 for ADM's arithmetic.
        norms: squared norms, of the same type.
        features: (n, D) as they came, for blocks that ADM computes again.
        arithmetic: how distances are computed.
        outline: for bounds of distances within the set and to those prepared with it.
    """

    values: Tensor
    norms: Tensor
    features: FloatArray
    arithmetic: Arithmetic
    outline: Outline

    def __len__(self) -> int:
        return len(self.values)


class Block(NamedTuple):
    """Part of the distances of two sets.

    Attributes:
        rows, columns: which points of either set.
        again: whether ADM computes it again in float32.
    """

    rows: slice
    columns: slice
    again: bool


def prepare(*sets: FloatArray, arithmetic: Arithmetic, kind: torch.dtype | None = None) -> list[Points]:
    """Return sets of features (n, D) as points.

    In float32 arithmetic the first set's mean is subtracted from all of them first: around the origin differences lose
    least. ADM does not do that.

    Args:
        sets: features of equal dimension.
        arithmetic: how distances are computed.
        kind: type of the outlines, the faster one by default. It changes no distance.
    """
    half = arithmetic == "adm-float16"
    centre = 0.0 if half else sets[0].mean(axis=0, dtype=np.float64)
    values, norms = [], []
    for features in sets:
        one = torch.empty(features.shape, dtype=torch.float16 if half else torch.float32)
        for rows in slices(slice(0, len(features)), 2 * TILE):  # in parts: no second copy of the whole set
            part = features[rows].astype(np.float64)
            one[rows] = torch.from_numpy(part if half else part - centre)
        values.append(one)
        norms.append(half_norms(one) if half else torch.einsum("ij,ij->i", one, one))
    return [
        Points(one, norm, features, arithmetic, outline)
        for one, norm, features, outline in zip(
            values, norms, sets, outlines(values, norms, kind), strict=True
        )
    ]


def pair_distances(first: Points, second: Points, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """Return distances of single pairs, from the first set's point to the second's and back, float32.

    Args:
        first, second: of equal arithmetic, of at least ``GROUP`` points each.
        rows, columns: (m,), which points of either set.
    """
    padding = torch.zeros(-len(rows) % GROUP, dtype=torch.int64)
    groups = (torch.split(torch.cat([points, padding]), GROUP) for points in (rows, columns))
    products = [
        (first.values[one].float() @ second.values[other].float().T).diagonal()
        for one, other in zip(*groups, strict=True)
        if len(one)
    ]
    found = torch.cat([*products, torch.empty(0)])[: len(rows)]
    return _distances(found, first, first.norms[rows], second.norms[columns])


def sums_alike(width: int) -> bool:
    """Return whether products of ``GROUP`` points of a width have the bits of products of whole tiles here.

    Tried once for a width and number of threads, on tiles of several shapes.
    """
    return _sums_alike(width, torch.get_num_threads())


@functools.cache
def _sums_alike(width: int, threads: int) -> bool:
    random = torch.Generator().manual_seed(width)
    rows, columns = torch.randn(2, TILE, width, generator=random)
    for height, length in ((TILE, TILE), (GROUP, TILE), (TILE - 101, GROUP + 57)):
        whole = rows[:height] @ columns[:length].T
        ours = torch.randint(height, (GROUP,), generator=random)
        theirs = torch.randint(length, (GROUP,), generator=random)
        if not torch.equal((rows[ours] @ columns[theirs].T).diagonal(), whole[ours, theirs]):
            return False
    return True


def tile_distances(first: Points, second: Points, rows: slice, columns: slice) -> tuple[Tensor, Tensor]:
    """Return the distances of some rows of one set to some of another and back, (rows, columns) each, float32.

    In float32 a point's distance to itself is set to 0; ADM's stays as its rounding leaves it.
    """
    products = first.values[rows].float() @ second.values[columns].float().T
    found = _distances(products, first, first.norms[rows, None], second.norms[None, columns])
    if first is second and rows == columns and first.arithmetic == "float32":
        found[0].fill_diagonal_(0)
    return found


def _distances(products: Tensor, first: Points, one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    if first.arithmetic == "adm-float16":
        return half_distances(products, one, other)
    distances = products.mul_(-2).add_(one).add_(other).clamp_(min=0)
    return distances, distances


def distances_again(first: Points, second: Points, rows: slice, columns: slice) -> Tensor:
    """Return the distances of a tile as ADM computes them again, (rows, columns), float32, the same in both orders."""
    left, right = (
        torch.from_numpy(points.features[part].astype(np.float32))
        for points, part in ((first, rows), (second, columns))
    )
    one, other = (torch.einsum("ij,ij->i", side, side) for side in (left, right))
    return (left @ right.T).mul_(-2).add_(one[:, None]).add_(other).clamp_(min=0)


def tiles(first: Points, second: Points, *, size: int = TILE) -> Iterator[Block]:
    """Yield the tiles that make up the distances of two sets.

    Args:
        first, second: of equal arithmetic. The same object twice yields the tiles on and above the diagonal, the
            diagonal ones first.
        size: rows and columns of a tile; ADM's blocks are cut into tiles, never joined.
    """
    same = first is second
    if first.arithmetic == "float32":
        blocks = [Block(slice(0, len(first)), slice(0, len(second)), again=False)]
    else:
        blocks = list(_adm_blocks(first, second, size))
    plan = [
        Block(rows, columns, block.again)
        for block in blocks
        for rows in slices(block.rows, size)
        for columns in slices(block.columns, size)
        if not same or rows.start <= columns.start
    ]
    yield from sorted(plan, key=lambda tile: same and tile.rows.start != tile.columns.start)


def _adm_blocks(first: Points, second: Points, size: int) -> Iterator[Block]:
    for rows in slices(slice(0, len(first)), ADM_BLOCK):
        for columns in slices(slice(0, len(second)), ADM_BLOCK):
            largest = torch.maximum(first.norms[rows].max(), second.norms[columns].max())
            safe = bool(largest < _SAFE_NORM)
            yield Block(rows, columns, not (safe or _is_finite(first, second, rows, columns, size)))


def _is_finite(first: Points, second: Points, wide: slice, high: slice, size: int) -> bool:
    norms = torch.cat([first.norms[wide], second.norms[high]])
    return bool(torch.isfinite(norms).all()) and all(
        bool(torch.isfinite(tile_distances(first, second, rows, columns)[0]).all())
        for rows in slices(wide, size)
        for columns in slices(high, size)
    )


def slices(whole: slice, size: int) -> list[slice]:
    """Cut a slice into parts of at most the given size."""
    return [slice(at, min(at + size, whole.stop)) for at in range(whole.start, whole.stop, size)]
