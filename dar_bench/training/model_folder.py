"""Trained models as folders: ``model.safetensors`` and ``model.json``, accepted wherever a model's name is.

``model.json`` holds ``plugin`` and ``kind`` (of the plugin's models), ``config`` (its sizes), and what else the plugin
needs to make a card of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from dar_bench.errors import UserError
from dar_bench.files import atomic_path, write_json

WEIGHTS_NAME = "model.safetensors"
DESCRIPTION_NAME = "model.json"

T = TypeVar("T")


def write_model_folder(
    model: nn.Module, folder: Path, description: Mapping[str, Any], dtype: str, leave_out: str = ""
) -> None:
    """Write a model's weights, rounded to ``dtype``, and its description.

    Args:
        leave_out: tensors whose names begin so are needed in training only.
    """
    from safetensors.torch import save_file

    tensors = {
        name: tensor.detach().to("cpu", getattr(torch, dtype)).contiguous()
        for name, tensor in model.state_dict().items()
        if not (leave_out and name.startswith(leave_out))
    }
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / WEIGHTS_NAME) as path:
        save_file(tensors, path)
    write_json(folder / DESCRIPTION_NAME, dict(description))


def read_model_folder(
    folder: Path, system: str, kinds: Mapping[str, Callable[[Path, Mapping[str, Any]], T]]
) -> T:
    """Return what the maker of a folder's kind makes of the folder and its description.

    Args:
        system: what the models are called in messages (``D-AR``).
        kinds: by the kind's name.

    Raises:
        UserError: the description is damaged or of another kind.
    """
    try:
        description = json.loads((folder / DESCRIPTION_NAME).read_text(encoding="utf-8"))
        kind = description["kind"]
        if kind in kinds:
            return kinds[kind](folder, description)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder / DESCRIPTION_NAME} describes no {system} model.",
            why=f"{type(error).__name__}: {error}",
            hint="Give the export folder of a training run.",
        ) from error
    raise UserError(
        f"{folder} holds a {system} model of unknown kind '{kind}'.", hint="It may be from a newer version."
    )
