"""Batches for the loop: a torch ``DataLoader`` whose workers fail and stop politely."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from dar_bench.data.workers import leave_signals_to_parent
from dar_bench.errors import UserError
from dar_bench.training.order import StepSampler
from dar_bench.training.task import DrawDataset

Batch = dict[str, Tensor]


def batches(
    dataset: DrawDataset, sampler: StepSampler, *, workers: int, device: torch.device
) -> Iterator[Batch]:
    """Yield the sampler's micro-batches on the device.

    Raises:
        UserError: what an example raised (an unreadable image, say), also where it was raised in a worker.
    """
    loader: DataLoader[Batch | UserError] = DataLoader(
        _Guarded(dataset),
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=_collate,
        pin_memory=device.type == "cuda",
        worker_init_fn=leave_signals_to_parent if workers else None,
        # The loader draws a seed for its workers; from its own generator, so that it moves no other random
        # state.
        generator=torch.Generator(),
    )
    for batch in loader:
        if isinstance(batch, UserError):
            raise batch
        yield {name: value.to(device, non_blocking=True) for name, value in batch.items()}


class _Guarded(Dataset[Batch | UserError]):
    """Hands a ``UserError`` on as a value: raised in a worker, torch would turn it into a traceback."""

    def __init__(self, dataset: DrawDataset):
        self._dataset = dataset

    def __getitem__(self, key: tuple[int, int]) -> Batch | UserError:
        try:
            return self._dataset[key]
        except UserError as error:
            return error


def _collate(items: Sequence[Batch | UserError]) -> Batch | UserError:
    for item in items:
        if isinstance(item, UserError):
            return item
    batch: Batch = default_collate(list(items))
    return batch
