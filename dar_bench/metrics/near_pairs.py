"""Pairs of points whose distance is within a limit, found without computing the others' distances.

A tile of bounds (``outlines``) leaves few pairs, whose distances are then computed one by one; where many are left, as
in sets of near copies, those of the whole tile are.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dar_bench.metrics.distances import (
    GROUP,
    TILE,
    Block,
    Points,
    distances_again,
    pair_distances,
    sums_alike,
    tile_distances,
    tiles,
)
from dar_bench.metrics.outlines import lower_bounds

_WHOLE = 1 / GROUP
"""From this share of a tile's pairs on, the product of the whole tile takes less time than single distances."""


class Pairs(NamedTuple):
    """Some pairs of two sets' points.

    Attributes:
        rows, columns: (m,), which points of either set.
        forward, backward: (m,), distances from the first to the second and back, float32.
    """

    rows: Tensor
    columns: Tensor
    forward: Tensor
    backward: Tensor


def near_pairs(first: Points, second: Points, tile: Block, rows: Tensor, columns: Tensor) -> Pairs:
    """Return all pairs of a tile whose distance, either way, is at most the row's or the column's limit, and some more.

    Args:
        first, second: prepared together.
        tile: which of their points.
        rows, columns: limits of the tile's rows and columns, float32; below 0 where no distance is wanted.
    """
    if tile.again:
        distances = distances_again(first, second, tile.rows, tile.columns)
        limits = torch.maximum(rows[:, None], columns)
        near = (distances <= limits).nonzero(as_tuple=True)
        return _placed(tile, near, distances[near], distances[near])
    wide = torch.maximum(first.outline.limits(rows)[:, None], second.outline.limits(columns))
    near = (lower_bounds(first.outline, second.outline, tile.rows, tile.columns) <= wide).nonzero(
        as_tuple=True
    )
    height, width = len(rows), tile.columns.stop - tile.columns.start
    single = min(height, width) >= GROUP and len(near[0]) <= _WHOLE * height * width
    if not (single and sums_alike(first.values.shape[1])):
        forward, backward = tile_distances(first, second, tile.rows, tile.columns)
        return _placed(tile, near, forward[near], backward[near])
    pairs = pair_distances(first, second, near[0] + tile.rows.start, near[1] + tile.columns.start)
    return _placed(tile, near, *pairs)


def _placed(tile: Block, near: tuple[Tensor, ...], forward: Tensor, backward: Tensor) -> Pairs:
    return Pairs(near[0] + tile.rows.start, near[1] + tile.columns.start, forward, backward)


class Nearest:
    """Keeps the smallest distances of every point of a set to a growing number of others.

    Args:
        points: how many points.
        count: how many distances of each.
    """

    def __init__(self, points: int, count: int):
        self._count = count
        self._best = torch.full((points, count), torch.inf)

    def limits(self, points: slice) -> Tensor:
        """Return the largest distances that can still enter, float32: those below the worst one kept."""
        worst = self._best[points, -1]
        return torch.nextafter(worst, torch.tensor(-torch.inf))

    def start(self, points: slice, distances: Tensor) -> None:
        """Take the first distances (points, others) of some points."""
        width = min(self._count, distances.shape[1])
        self._best[points, :width] = torch.topk(distances, width, dim=1, largest=False).values

    def add(self, points: Tensor, distances: Tensor) -> None:
        """Take further distances (m,) of points (m,), in any order."""
        entering = distances < self._best[points, -1]
        points, order = points[entering].sort()
        if not len(points):
            return
        distances = distances[entering][order]
        changed, group, counts = torch.unique(points, return_inverse=True, return_counts=True)
        place = torch.arange(len(points)) - (counts.cumsum(0) - counts)[group]
        few = torch.full((len(changed), int(counts.max())), torch.inf)
        few[group, place] = distances
        joined = torch.cat([self._best[changed], few], dim=1)
        self._best[changed] = torch.topk(joined, self._count, dim=1, largest=False).values

    def smallest(self, k: int) -> Tensor:
        """Return the distance number k of every point, counted from 0, float32."""
        return self._best[:, k]


def nearest(points: Points, count: int, *, size: int = TILE) -> Nearest:
    """Return the smallest distances of every point within its set, its own included.

    A distance is left out only if the bound shows that it is not below the worst one kept at that time. What is kept
    only shrinks, so no such distance belongs to the smallest in the end, except as the equal of one that is kept: the
    numbers are those of all distances.
    """
    found = Nearest(len(points), count)
    for tile in tiles(points, points, size=size):
        if tile.rows != tile.columns:
            pairs = near_pairs(points, points, tile, found.limits(tile.rows), found.limits(tile.columns))
            found.add(pairs.rows, pairs.forward)
            found.add(pairs.columns, pairs.backward)
        elif tile.again:
            found.start(tile.rows, distances_again(points, points, tile.rows, tile.columns))
        else:
            found.start(tile.rows, tile_distances(points, points, tile.rows, tile.columns)[0])
    return found
