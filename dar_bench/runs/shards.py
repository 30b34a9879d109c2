"""How runs are cut."""

from __future__ import annotations

from collections.abc import Iterator

SHARD = 256
"""Samples to a shard: what a killed process loses at most. A multiple of the usual batch sizes, so that batches do
not change with the place where a run was cut."""


def ranges(count: int, shard: int = SHARD) -> Iterator[tuple[int, int]]:
    """Yield first and last-plus-one sample of every shard of ``count`` samples."""
    for start in range(0, count, shard):
        yield start, min(start + shard, count)
