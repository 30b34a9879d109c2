"""A network with the optimizer that trains it: gradients over micro-batches, then one update."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from dar_bench.training.optimizers import build_optimizer
from dar_bench.training.recipe import OptimizerConfig

if TYPE_CHECKING:
    from accelerate import Accelerator


class Learner:
    """One network in training. A step is ``accumulate`` for every micro-batch, then ``update``.

    Args:
        module: on its device.
        groups: the optimizer's parameter groups.
        config: the optimizer.
        accelerator: of this training.
        precision: ``float32``, or ``bfloat16`` for autocast.
    """

    def __init__(
        self,
        module: nn.Module,
        groups: list[dict[str, Any]],
        config: OptimizerConfig,
        accelerator: Accelerator,
        precision: str,
    ):
        self.module, self.config = module, config
        self.optimizer = build_optimizer(module, groups, config, accelerator.device)
        self._accelerator = accelerator
        self._reduced = precision == "bfloat16"
        self._wrapped = module
        self._totals: dict[str, Tensor] = {}

    def load(self, module: dict[str, Any], optimizer: dict[str, Any]) -> None:
        """Take over the state of a checkpoint."""
        self.module.load_state_dict(module)
        self.optimizer.load_state_dict(optimizer)

    def prepare(self, *, compile: bool) -> None:
        """Make the network ready for steps; after ``load``."""
        if compile:
            self.module.compile()
        # One process gets the module itself back, several get DDP, whose hooks average the gradients.
        self._wrapped = self._accelerator.prepare(self.module)

    def accumulate(self, batch: dict[str, Tensor], *, parts: int, last: bool) -> dict[str, Tensor]:
        """Add the gradients of one of ``parts`` micro-batches; return what the module made for an adversary."""
        # Gradients travel between processes once per step, with the last micro-batch.
        with contextlib.nullcontext() if last else self._accelerator.no_sync(self._wrapped):
            with torch.autocast(self._accelerator.device.type, torch.bfloat16, enabled=self._reduced):
                loss, scalars, *made = self._wrapped(batch)
            self._accelerator.backward(loss / parts)
        for name, value in {"loss": loss, **scalars}.items():
            self._totals[name] = self._totals.get(name, 0.0) + value.detach().float() / parts
        return {name: value.detach() for name, value in made[0].items()} if made else {}

    def update(self, rate: float) -> dict[str, Tensor]:
        """Do one step of the optimizer; return the means of loss and scalars, and the gradient's norm."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        clip = self.config.clip_norm or float("inf")
        norm = nn.utils.clip_grad_norm_(self.module.parameters(), clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        totals, self._totals = self._totals, {}
        return {**totals, "grad_norm": norm}
