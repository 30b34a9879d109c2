"""What a plugin gives to the training loop."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from dar_bench.training.recipe import OptimizerConfig


class DrawDataset(Protocol):
    """A map-style data set that is asked for (index, draw).

    All randomness of the example (crop, flip, noise, timestep, label dropout) must come from the run's seed
    and ``draw`` through ``dar_bench.sampling.randomness``, never from a global generator: only then is a
    training the same for every number of processes and workers, and after resuming.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Tensor]: ...


@dataclass(frozen=True, kw_only=True)
class Adversary:
    """A network that is trained against the task's module: once after every update of it, on what it has made.

    Attributes:
        module: ``forward(made) -> (loss, scalars)`` with the tensors that the task's module returned as a third
            value, without their gradients. It is kept in checkpoints, but neither averaged nor exported. The
            task's module may look through it, but must not hold it as a part, nor leave gradients in it.
        optimizer: its own; the learning rate follows the recipe's schedule.
        start: updates of the task's module before its first one.
    """

    module: nn.Module
    optimizer: OptimizerConfig
    start: int = 0


class TrainingTask:
    """One thing to train. Derive from it, set ``module`` and ``dataset``, and override what applies.

    Attributes:
        module: ``forward(batch) -> (loss, scalars)`` computes the whole loss, so that gradient averaging
            over processes sees every term. It must hold nothing but what is trained: frozen helper networks
            belong to the task (kept in a plain list or closure and moved in :meth:`prepare`), or they would
            be averaged and stored in checkpoints. Scalars are 0-d tensors with the same names in every step;
            their means are logged. With an adversary it returns a third value, the tensors by name that the
            adversary learns from.
        dataset: see :class:`DrawDataset`.
        adversary: the second network of an adversarial training.
        free_on_resume: dotted recipe keys that may change when a run is resumed (for instance where the data
            lies).
    """

    module: nn.Module
    dataset: DrawDataset
    adversary: Adversary | None = None
    free_on_resume: frozenset[str] = frozenset()

    def prepare(self, device: torch.device) -> None:
        """Move what is not part of ``module`` to the device; called once before the first step."""

    def parameter_groups(self, config: OptimizerConfig) -> list[dict[str, Any]]:
        """Return the optimizer's groups; by default weight decay as the recipe says it."""
        return parameter_groups(self.module.parameters(), config)

    def after_step(self, step: int) -> None:
        """Called after every update on every process; ``step`` counts the updates done."""

    def evaluate(self, module: nn.Module, ema_module: nn.Module, step: int) -> dict[str, float]:
        """Return scores to log; called on every process, without gradients, modules in evaluation mode."""
        return {}

    def images(self, ema_module: nn.Module, step: int) -> dict[str, Tensor]:
        """Return named uint8 (B, 3, H, W) images to look at; called on the main process."""
        return {}

    def export(self, ema_module: nn.Module, folder: Path) -> None:
        """Write the usable weights into ``folder``, atomically; the main process calls it at checkpoints."""


def parameter_groups(parameters: Iterable[nn.Parameter], config: OptimizerConfig) -> list[dict[str, Any]]:
    """Split trainable parameters into those with and those without weight decay."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    if not config.decay_matrices_only:
        return [{"params": trained, "weight_decay": config.weight_decay}]
    matrices = [parameter for parameter in trained if parameter.ndim >= 2]
    others = [parameter for parameter in trained if parameter.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
