"""The few things that processes of one training say to each other. All of them work without a process group."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from dar_bench.errors import UserError

T = TypeVar("T")


def world_size() -> int:
    """Number of processes of this training."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def is_main() -> bool:
    """Whether this process prints and writes."""
    return rank() == 0


def mean_over_processes(values: Tensor) -> Tensor:
    """Return the elementwise mean over processes, without gradient."""
    if world_size() == 1:
        return values
    total = values.detach().clone()
    dist.all_reduce(total)
    return total / world_size()


def any_process(flag: bool, device: torch.device) -> bool:
    """Return whether ``flag`` is true in any process; all processes must call it."""
    if world_size() == 1:
        return flag
    value = torch.tensor(int(flag), device=device)
    dist.all_reduce(value, op=dist.ReduceOp.MAX)
    return bool(value.item())


def global_mean(total: Tensor, count: Tensor) -> Tensor:
    """Return a masked mean over all processes, whose gradient comes out right after averaging over processes.

    Gradients are averaged over W processes, so a plain local mean would weight every process alike whatever its count.
    Here process r returns ``total_r * W / sum(count)``: the mean of that over processes is the mean over all
    elements, and so is its gradient. With micro-batches the mean is taken inside each of them.

    Args:
        total: this process's sum of the masked elements, 0-d.
        count: this process's number of unmasked elements, 0-d.
    """
    everywhere = count.detach().to(total.dtype).clone()
    if world_size() > 1:
        dist.all_reduce(everywhere)
    return total * world_size() / everywhere.clamp(min=1.0)


def on_main(action: Callable[[], T]) -> T:
    """Run ``action`` on the main process and return its result on all; it must be picklable.

    A ``UserError`` is raised on the main process only; the others end quietly with the same exit status.
    """
    if world_size() == 1:
        return action()
    message: list[tuple[int, T | None]] = [(0, None)]
    error: UserError | None = None
    if is_main():
        try:
            message = [(0, action())]
        except UserError as raised:
            error = raised
            message = [(raised.exit_code, None)]
    dist.broadcast_object_list(message, src=0)
    if error is not None:
        raise error
    status, result = message[0]
    if status:
        raise SystemExit(status)
    return result  # type: ignore[return-value]
