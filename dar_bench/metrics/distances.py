"""Squared distances between many points, tile by tile, in float32 or in ADM's float16.

ADM's evaluator computes distances of features in float16, as TensorFlow's CPU kernels do, and its precision and recall
depend on that by points. What it computes for rows u of one set and v of another, every step rounded to float16:

    |u|^2, |v|^2      squares and partial sums in float16, in the order of ``half_norms``
    u'v               products and sums in float32, rounded once
    (|u|^2 - 2 u'v) + |v|^2, and 0 where that is negative

The order of the last line makes the distance of u to v another one than that of v to u. A block of 10,000 x 10,000
distances with one value that is not finite is computed again in float32, all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from dar_bench.metrics.estimate import FloatArray

ADM_BLOCK = 10_000
"""Rows and columns of the blocks whose precision ADM decides one by one."""

TILE = 2048
"""Rows and columns of a tile: its float32 products (16 MB) stay near the cache."""

Arithmetic = Literal["float32", "adm-float16"]

# Below this largest norm no distance can overflow: |u - v|^2 is at most four times it, and so are all partial sums.
_SAFE_NORM = 65504 / 4 * 0.98

_LANES = 8
_LEAF = 200 * _LANES  # values that Eigen sums in one go; longer rows are cut in two


@dataclass(frozen=True)
class Points:
    """A set of points, ready for distances.

    Attributes:
        values: (n, D), float32, or float16 for ADM's arithmetic.
        norms: squared norms, of the same type.
        features: (n, D) as they came, for blocks that ADM computes again.
        arithmetic: how distances are computed.
    """

    values: Tensor
    norms: Tensor
    features: FloatArray
    arithmetic: Arithmetic

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Tile:
    """Squared distances of some rows of one set to some rows of another.

    Attributes:
        rows, columns: which rows of either set.
        distances: (rows, columns), of the first set's rows to the second's.
        reverse: (rows, columns), of the second's to the first's: the same numbers with the last two roundings in the
            other order. The same tensor in float32.
    """

    rows: slice
    columns: slice
    distances: Tensor
    reverse: Tensor


def prepare(features: FloatArray, arithmetic: Arithmetic, centre: FloatArray | None = None) -> Points:
    """Return features (n, D) as points.

    Args:
        features: of a set.
        arithmetic: how distances are computed.
        centre: subtracted first, in float32 arithmetic: around the origin differences lose least. ADM has none.
    """
    half = arithmetic == "adm-float16"
    values = torch.empty(features.shape, dtype=torch.float16 if half else torch.float32)
    for rows in _slices(slice(0, len(features)), TILE):  # in parts: no second copy of the whole set
        part = features[rows].astype(np.float64)
        values[rows] = torch.from_numpy(part if centre is None or half else part - centre)
    norms = half_norms(values) if half else torch.einsum("ij,ij->i", values, values)
    return Points(values, norms, features, arithmetic)


def half_norms(values: Tensor) -> Tensor:
    """Return squared norms of float16 rows (n, D) as TensorFlow's CPU reduction computes them, float16 (n,).

    Rows of more than 1,600 values are summed in two halves, each by four accumulators of eight float16 lanes; the
    accumulators are added in float16 one after the other, their lanes in float32. Found by comparison with
    TensorFlow 2.21, which it equals in every row.
    """
    return torch.cat([_half_sum(part * part) for part in torch.split(values, TILE)])


def _half_sum(values: Tensor) -> Tensor:
    count = values.shape[1]
    if count > _LEAF:
        half = -(-count // 2)
        split = -(-half // _LANES) * _LANES
        return _half_sum(values[:, :split]) + _half_sum(values[:, split:])
    packets = count // _LANES
    lanes = values[:, : packets * _LANES].reshape(len(values), packets, _LANES)
    unrolled = packets // 4 * 4
    total = lanes.new_zeros(len(values), _LANES)
    if unrolled:
        accumulators = lanes.new_zeros(4, len(values), _LANES)
        for first in range(0, unrolled, 4):
            accumulators += lanes[:, first : first + 4].transpose(0, 1)
        total = ((accumulators[0] + accumulators[1]) + accumulators[2]) + accumulators[3]
    for packet in range(unrolled, packets):
        total = total + lanes[:, packet]
    rest = values.new_zeros(len(values))
    for index in range(packets * _LANES, count):
        rest = rest + values[:, index]
    if packets == 0:
        return rest
    wide = total.float()
    four = wide[:, :4] + wide[:, 4:]
    two = four[:, :2] + four[:, 2:]
    return rest + (two[:, 0] + two[:, 1]).half()


def tiles(first: Points, second: Points, *, size: int = TILE, reverse: bool = False) -> Iterator[Tile]:
    """Yield the distances of two sets, tile by tile.

    Args:
        first, second: of equal arithmetic. The same object twice yields the tiles on and above the diagonal, the
            diagonal ones first, with both orders of the last rounding.
        size: rows and columns of a tile; ADM's blocks are cut into tiles, never joined.
        reverse: whether the distances of ``second`` to ``first`` are needed too.
    """
    same = first is second
    if first.arithmetic == "float32":
        blocks = [(slice(0, len(first)), slice(0, len(second)), True)]
    else:
        blocks = list(_adm_blocks(first, second, size))
    if same:
        blocks = [block for block in blocks if block[0].start <= block[1].start]
        blocks.sort(key=lambda block: block[0].start != block[1].start)
    for wide, high, half in blocks:
        plan = [
            (rows, columns)
            for rows in _slices(wide, size)
            for columns in _slices(high, size)
            if not same or rows.start <= columns.start
        ]
        plan.sort(key=lambda place: same and place[0].start != place[1].start)
        for rows, columns in plan:
            yield _tile(first, second, rows, columns, half=half, reverse=reverse or same)


def _adm_blocks(first: Points, second: Points, size: int) -> Iterator[tuple[slice, slice, bool]]:
    """Yield ADM's blocks, with whether all their float16 distances are finite."""
    for rows in _slices(slice(0, len(first)), ADM_BLOCK):
        for columns in _slices(slice(0, len(second)), ADM_BLOCK):
            largest = torch.maximum(first.norms[rows].max(), second.norms[columns].max())
            safe = bool(largest < _SAFE_NORM)
            yield rows, columns, safe or _is_finite(first, second, rows, columns, size)


def _is_finite(first: Points, second: Points, wide: slice, high: slice, size: int) -> bool:
    return all(
        bool(torch.isfinite(_tile(first, second, rows, columns, half=True, reverse=False).distances).all())
        for rows in _slices(wide, size)
        for columns in _slices(high, size)
    )


def _slices(whole: slice, size: int) -> list[slice]:
    return [slice(at, min(at + size, whole.stop)) for at in range(whole.start, whole.stop, size)]


def _tile(first: Points, second: Points, rows: slice, columns: slice, *, half: bool, reverse: bool) -> Tile:
    """Compute one tile; ``half`` is whether ADM's float16 is finite there."""
    if first.arithmetic == "adm-float16" and half:
        products = first.values[rows].float() @ second.values[columns].float().T
        minus = products.half().mul_(-2)  # exact
        one, other = first.norms[rows, None], second.norms[None, columns]
        distances = (minus + one).add_(other).clamp_(min=0)
        backwards = minus.add_(other).add_(one).clamp_(min=0) if reverse else distances
        return Tile(rows, columns, distances, backwards)
    left, right = _float32(first, rows), _float32(second, columns)
    one, other = (torch.einsum("ij,ij->i", side, side) for side in (left, right))
    distances = (left @ right.T).mul_(-2).add_(one[:, None]).add_(other).clamp_(min=0)
    return Tile(rows, columns, distances, distances)


def _float32(points: Points, rows: slice) -> Tensor:
    if points.arithmetic == "float32":
        return points.values[rows]
    return torch.from_numpy(points.features[rows].astype(np.float32))


class Nearest:
    """Keeps the smallest distances of every point of a set to a growing number of others.

    Args:
        points: how many points.
        count: how many distances of each.
    """

    def __init__(self, points: int, count: int):
        self._count = count
        self._best = torch.full((points, count), torch.inf)

    def add(self, rows: slice, distances: Tensor) -> None:
        """Take (rows, others) distances."""
        best = self._best[rows]
        # Only what beats the worst one kept can enter; after the first tiles that is next to nothing.
        entering = distances < as_half(best[:, -1:])
        counts = entering.sum(dim=1)
        changed = counts.nonzero()[:, 0]
        if len(changed) == 0:
            return
        width = min(distances.shape[1], self._count)
        if int(counts.max()) > 4 * self._count:
            few = torch.topk(distances[changed].float(), width, dim=1, largest=False).values
        else:
            few = _gathered(distances, entering, counts, changed)
        joined = torch.cat([best[changed], few], dim=1)
        best[changed] = torch.topk(joined, self._count, dim=1, largest=False).values

    def smallest(self, k: int) -> Tensor:
        """Return the distance number k of every point, counted from 0, float32."""
        return self._best[:, k]


def _gathered(distances: Tensor, entering: Tensor, counts: Tensor, changed: Tensor) -> Tensor:
    """Return the entering distances of the changed rows, filled up with infinity, float32."""
    rows, columns = entering.nonzero(as_tuple=True)
    starts = counts.cumsum(0) - counts
    place = torch.arange(len(rows)) - starts[rows]
    position = torch.empty(len(counts), dtype=torch.long)
    position[changed] = torch.arange(len(changed))
    few = torch.full((len(changed), int(counts.max())), torch.inf)
    few[position[rows], place] = distances[rows, columns].float()
    return few


def as_half(values: Tensor) -> Tensor:
    """Return values in float16 if that changes none of them: comparisons of float16 are cheaper so."""
    half = values.half()
    return half if torch.equal(half.float(), values) else values


def nearest(points: Points, count: int, *, size: int = TILE) -> Nearest:
    """Return the smallest distances of every point within its set, its own included.

    In float32 a point's distance to itself is set to 0; ADM's stays as its rounding leaves it.
    """
    found = Nearest(len(points), count)
    for tile in tiles(points, points, size=size):
        diagonal = tile.rows == tile.columns
        if diagonal and points.arithmetic == "float32":
            tile.distances.fill_diagonal_(0)
        found.add(tile.rows, tile.distances)
        if not diagonal:
            found.add(tile.columns, tile.reverse.T.contiguous())
    return found
