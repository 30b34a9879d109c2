"""Making what is missing of a run, alone or together with other processes.

Every process goes through all shards, makes those that nobody has and nobody makes, and waits at the end for those
that others are making. So the processes of a launcher share the work without talking to each other, the same
command started twice shares it too, and a process that dies leaves its shards to the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from dar_bench.console import note
from dar_bench.runs.locks import Busy, lock

Shard = tuple[int, int]


def fill(
    shards: Sequence[Shard],
    *,
    done: Callable[[Shard], bool],
    make: Callable[[Shard], None],
    lock_path: Callable[[int], Path],
    first: int = 0,
    on_shard: Callable[[Shard], None] = lambda shard: None,
) -> None:
    """Make every shard that is not there; return when all are.

    Args:
        shards: first and last-plus-one sample of each.
        done: whether a shard is there.
        make: makes and writes one.
        lock_path: from a shard's first sample to the file whose lock guards its making.
        first: number of the shard to begin with, so that processes that start together begin apart.
        on_shard: told of every shard once it is there.

    Raises:
        UserError: what ``make`` raises, or a store that cannot be written to.
    """
    first %= max(len(shards), 1)
    busy = []
    for shard in [*shards[first:], *shards[:first]]:
        try:
            _make_one(shard, done, make, lock_path, wait=False)
        except Busy:
            busy.append(shard)
        else:
            on_shard(shard)
    if busy:
        note(f"Waiting for another process that makes {len(busy)} of {len(shards)} shards.")
    for shard in busy:
        _make_one(shard, done, make, lock_path, wait=True)
        on_shard(shard)


def _make_one(
    shard: Shard,
    done: Callable[[Shard], bool],
    make: Callable[[Shard], None],
    lock_path: Callable[[int], Path],
    *,
    wait: bool,
) -> None:
    if done(shard):
        return
    with lock(lock_path(shard[0]), wait=wait):
        if not done(shard):  # another process may have made it while this one came to the lock
            make(shard)
