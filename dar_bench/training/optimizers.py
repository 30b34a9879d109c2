"""The optimizers that a recipe may name."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import nn

from dar_bench.errors import UserError
from dar_bench.training.recipe import OptimizerConfig

Group = dict[str, Any]

MUON_MOMENTUM = 0.95
"""Of its authors (Jordan et al., 2024), with Nesterov's rule; a recipe's ``betas`` are AdamW's alone."""


class Optimizer(Protocol):
    """What the training loop asks of an optimizer."""

    @property
    def param_groups(self) -> list[Group]:
        """All groups; setting ``lr`` in them sets the rate of the next step."""
        ...

    def step(self) -> Any:
        """Update the parameters."""
        ...

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:
        """Take over the state of a checkpoint."""
        ...


def build_optimizer(
    module: nn.Module, groups: list[Group], config: OptimizerConfig, device: torch.device
) -> Optimizer:
    """Return the optimizer that ``config`` names.

    Args:
        module: holds the parameters.
        groups: parameters with their weight decay, as ``parameter_groups`` splits them.
        config: of the recipe.
        device: where the parameters are.

    Raises:
        UserError: this torch has no Muon.
    """
    if config.name == "adamw":
        return adamw(groups, config, device)
    if not hasattr(torch.optim, "Muon"):
        raise UserError(
            "The recipe's optimizer is Muon, which this torch does not have.",
            why=f"It came with torch 2.9, and this is {torch.__version__}.",
            hint="Upgrade torch, or train with --set optimizer.name=adamw.",
        )
    matrices = hidden_matrices(module)
    theirs, others = split(groups, matrices)
    parts: list[torch.optim.Optimizer] = []
    if theirs:
        # The update is scaled to the root mean square of AdamW's, so that one learning rate serves both.
        parts.append(
            torch.optim.Muon(theirs, lr=config.lr, momentum=MUON_MOMENTUM, adjust_lr_fn="match_rms_adamw")
        )
    if others:
        parts.append(adamw(others, config, device))
    return Joint(parts)


def adamw(groups: list[Group], config: OptimizerConfig, device: torch.device) -> torch.optim.AdamW:
    """Return AdamW over ``groups``, in one kernel where the device has it."""
    return torch.optim.AdamW(
        groups, lr=config.lr, betas=config.betas, eps=config.eps, fused=device.type in ("cpu", "cuda")
    )


def hidden_matrices(module: nn.Module) -> set[int]:
    """Return the ids of the weights that Muon updates: those of Linear layers inside stacked blocks.

    Its authors leave embeddings, the first and the last layer to AdamW: their rows and columns are not mixed by what
    comes before and after.
    """
    return {
        id(linear.weight)
        for stack in module.modules()
        if isinstance(stack, nn.ModuleList)
        for linear in stack.modules()
        if isinstance(linear, nn.Linear)
    }


def split(groups: list[Group], chosen: set[int]) -> tuple[list[Group], list[Group]]:
    """Split every group into the parameters whose ids are chosen and the others; empty ones are left out."""

    def part(wanted: bool) -> list[Group]:
        kept = [
            {**group, "params": [p for p in group["params"] if (id(p) in chosen) is wanted]}
            for group in groups
        ]
        return [group for group in kept if group["params"]]

    return part(True), part(False)


class Joint:
    """Several optimizers, each over its own parameters, as one."""

    def __init__(self, parts: list[torch.optim.Optimizer]):
        self.parts = parts

    @property
    def param_groups(self) -> list[Group]:
        """The groups of all parts."""
        return [group for part in self.parts for group in part.param_groups]

    def step(self) -> None:
        """Update the parameters of all parts."""
        for part in self.parts:
            part.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parts."""
        for part in self.parts:
            part.zero_grad(set_to_none=set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """Return the states of the parts by number."""
        return {str(number): part.state_dict() for number, part in enumerate(self.parts)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the states of the parts."""
        for number, part in enumerate(self.parts):
            part.load_state_dict(state_dict[str(number)])
