"""One of two processes: the gradient of the uniformity term through a layer that both share, as a file."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import torch.distributed as dist

from dar_bench.training.codebook import uniformity
from dar_bench.training.distributed import mean_over_processes


def gradient(rows: torch.Tensor) -> torch.Tensor:
    """Return the gradient of the layer's weight, (8, 8)."""
    weight = (torch.eye(8) + 0.1 * torch.arange(64.0).reshape(8, 8).sin()).requires_grad_()
    uniformity(rows @ weight).backward()
    assert weight.grad is not None
    return weight.grad


def all_rows() -> torch.Tensor:
    """Return what both processes have together, (6, 4, 8)."""
    return torch.randn(6, 4, 8, generator=torch.Generator().manual_seed(0))


if __name__ == "__main__":
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    found = mean_over_processes(gradient(all_rows()[3 * rank : 3 * rank + 3]))
    torch.save(found, Path(sys.argv[1]) / f"{rank}.pt")
    dist.destroy_process_group()
