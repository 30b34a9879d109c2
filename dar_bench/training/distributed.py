"""The few things that processes of one training say to each other; all work without a process group."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from dar_bench import process_group
from dar_bench.devices import check_compiler
from dar_bench.errors import UserError
from dar_bench.training.recipe import TrainConfig

if TYPE_CHECKING:
    from accelerate import Accelerator

T = TypeVar("T")


def start(config: TrainConfig) -> Accelerator:
    """Join the processes of this training, if a launcher started several, and take the device.

    Calling it again changes nothing: a task that has work for one process alone may join them first.

    Raises:
        UserError: accelerate is not installed, the launcher asks for more than data parallelism, or nothing
            on this machine can compile what the recipe wants compiled.
    """
    try:
        from accelerate import Accelerator
    except ImportError as error:
        raise UserError(
            "Training needs the package 'accelerate', which is not installed.",
            hint="Install it with: pip install 'dar-bench[train]'",
        ) from error
    if config.threads:
        torch.set_num_threads(config.threads)
    # The recipe's precision counts (see the loop), not what a launcher was configured with.
    # Several processes on a machine without a GPU join each other only when accelerate is told to use the CPU.
    cpu = config.device == "cpu" or not torch.accelerator.is_available()
    if config.compile:
        check_compiler(on_gpu=not cpu, hint="set train.compile=false")
    accelerator = Accelerator(cpu=cpu, mixed_precision="no")
    if accelerator.num_processes != world_size():
        raise UserError(
            f"The launcher started {world_size()} processes, of which {accelerator.num_processes} joined.",
            hint="Start them with torchrun, one for each GPU.",
        )
    if accelerator.distributed_type.name not in ("NO", "MULTI_CPU", "MULTI_GPU", "MULTI_XPU", "MULTI_NPU"):
        raise UserError(
            f"Training runs data-parallel only; the launcher asked for {accelerator.distributed_type.name}.",
            hint="Use torchrun, or 'accelerate launch --multi_gpu'.",
        )
    if accelerator.num_processes > 1:
        process_group.joined()
    return accelerator


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

    Gradients are averaged over W processes, so a plain local mean would weight every process alike whatever
    its count. Here process r returns ``total_r * W / sum(count)``: the mean of that over processes is the
    mean over all elements, and so is its gradient. With micro-batches the mean is taken inside each of them.

    Args:
        total: this process's sum of the masked elements, 0-d.
        count: this process's number of unmasked elements, 0-d.
    """
    everywhere = count.detach().to(total.dtype).clone()
    if world_size() > 1:
        dist.all_reduce(everywhere)
    return total * world_size() / everywhere.clamp(min=1.0)


def gather_rows(rows: Tensor) -> Tensor:
    """Return the rows of all processes, (W * B, ...), in the order of the processes.

    For losses that compare samples with each other: every process computes the same loss from all rows and gets
    the gradient of its own, times W, so that averaging the parameters' gradients over processes gives that of one
    process with all rows. (PyTorch's own differentiable gather adds up gradients of other places under gloo.)

    Args:
        rows: (B, ...), of the same shape in every process.
    """
    if world_size() == 1:
        return rows
    gathered: Tensor = _GatherRows.apply(rows)
    return gathered


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        parts = [torch.empty_like(rows) for _ in range(world_size())]
        dist.all_gather(parts, rows.contiguous())
        ctx.own = slice(rank() * len(rows), (rank() + 1) * len(rows))
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient[ctx.own] * world_size()


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
