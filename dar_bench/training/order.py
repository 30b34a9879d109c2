"""Which example is drawn when: a pure function of (seed, draw), whatever the number of processes.

Draw ``g`` of a training is example ``epoch_order(seed, g // n)[g % n]``: every epoch is one permutation of
the ``n`` examples, and a batch that reaches the end of an epoch goes on with the next one. Step ``s``
(counted from 0) with a global batch of B holds the draws ``s * B`` to ``(s + 1) * B - 1``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dar_bench.errors import UserError

Draw = tuple[int, int]
"""(index of the example, global number of the draw)."""


def epoch_order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """Return the permutation of ``range(count)`` for one epoch.

    It ranks raw Philox output, which no numpy release may change (a ``Generator``'s methods may).
    """
    bits = np.random.Philox(key=np.array([seed, epoch], dtype=np.uint64)).random_raw(count)
    return np.argsort(bits, kind="stable").astype(np.int64)


class StepSampler:
    """Yields, step after step, this process's micro-batches of (index, draw).

    Process ``rank`` of ``world`` takes the positions ``rank * B / world`` up to ``(rank + 1) * B / world``
    of every global batch, in order, cut into micro-batches.
    """

    def __init__(
        self,
        *,
        count: int,
        seed: int,
        batch_size: int,
        micro_batch: int,
        start: int,
        steps: int,
        rank: int = 0,
        world: int = 1,
    ):
        if count == 0:
            raise UserError("The training data holds no examples.")
        if batch_size % world:
            raise UserError(
                f"A batch of {batch_size} cannot be split evenly over {world} processes.",
                hint=f"Set train.batch_size to a multiple of {world}.",
            )
        share = batch_size // world
        micro = micro_batch or share
        if share % micro:
            raise UserError(
                f"{share} images per process cannot be split evenly into micro-batches of {micro}.",
                hint="Set train.micro_batch to a divisor of train.batch_size / number of processes.",
            )
        self.micro_batches = share // micro
        self._count, self._seed, self._batch_size = count, seed, batch_size
        self._share, self._micro, self._rank = share, micro, rank
        self._start, self._steps = start, steps
        self._orders: dict[int, NDArray[np.int64]] = {}

    def __len__(self) -> int:
        return max(self._steps - self._start, 0) * self.micro_batches

    def __iter__(self) -> Iterator[list[Draw]]:
        for step in range(self._start, self._steps):
            first = step * self._batch_size + self._rank * self._share
            for offset in range(0, self._share, self._micro):
                draws = range(first + offset, first + offset + self._micro)
                yield [(self._index(draw), draw) for draw in draws]

    def _index(self, draw: int) -> int:
        epoch, position = divmod(draw, self._count)
        if epoch not in self._orders:
            # A batch can touch the end of one epoch and the start of the next; older orders are never needed
            # again.
            self._orders = {key: order for key, order in self._orders.items() if key == epoch - 1}
            self._orders[epoch] = epoch_order(self._seed, epoch, self._count)
        return int(self._orders[epoch][position])
