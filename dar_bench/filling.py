"""Networks built on the meta device and filled from safetensors files, strictly; their sizes without weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dar_bench.api import Card
from dar_bench.checkpoints import check_layout
from dar_bench.errors import UserError

if TYPE_CHECKING:
    from torch import nn


def fill(model: nn.Module, card: Card, weights: Path) -> None:
    """Put the tensors of a safetensors file into a model built on the meta device, strictly.

    Raises:
        UserError: the file cannot be read, or its names or shapes are not the model's.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(weights)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"Cannot read the weights of '{card.name}' from {weights}.",
            why=str(error),
            hint=f"Fetch or import them again: dar-bench weights fetch {card.name}",
        ) from error
    check_layout(card.name, tensors, shapes(model))
    model.load_state_dict(tensors, strict=True, assign=True)


def shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return name and shape of every tensor that a model stores."""
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def parameter_count(model: nn.Module) -> int:
    """Return a model's number of parameters; the model may be on the meta device."""
    return sum(parameter.numel() for parameter in model.parameters())
