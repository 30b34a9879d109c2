"""The processes that a launcher started for one command (``torchrun --nproc_per_node N -m dar_bench ...``)."""

from __future__ import annotations

import os
from dataclasses import dataclass

from dar_bench.errors import UserError


@dataclass(frozen=True)
class Processes:
    """Which of how many processes this one is.

    Those of a sweep share their work through the store (``dar_bench.runs.filling``), which all of them must see: on
    several machines ``$DAR_BENCH_HOME`` has to be a shared folder. Those of a measurement send it to the first one
    (``dar_bench.evaluation.team``).

    Attributes:
        rank: from 0.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process scores, prints and writes records."""
        return self.rank == 0

    def first_shard(self, shards: int) -> int:
        """Return the shard to begin with, so that the processes begin at equal distances."""
        return self.rank * shards // self.size

    def device(self, device: str) -> str:
        """Return this process's device: with ``auto`` or ``cuda``, each on a machine takes a GPU of its own."""
        if self.size == 1 or device not in ("auto", "cuda"):
            return device
        import torch

        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        # A launcher that numbers no processes of a machine starts one on each, or counts over all of them.
        local = os.environ.get("LOCAL_RANK", "")
        return f"cuda:{(int(local) if local.isdecimal() else self.rank) % count}" if count else device


def launched() -> Processes:
    """Return this process's place among those of its launcher; alone without one.

    Raises:
        UserError: the launcher's variables make no sense.
    """
    texts = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
    try:
        rank, size = (int(text) for text in texts)
    except ValueError:
        rank, size = -1, 0
    if not 0 <= rank < size:
        raise UserError(
            f"RANK={texts[0]} of WORLD_SIZE={texts[1]} makes no sense.",
            hint="Unset both variables, or start the processes with torchrun.",
        )
    return Processes(rank, size)
