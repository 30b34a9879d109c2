"""Trained models as folders: ``model.safetensors`` and ``model.json``, accepted wherever a model's name is."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dar_bench.api import Card, GeneratorCard, TokenizerCard, WeightsFile
from dar_bench.errors import UserError
from dar_bench.files import atomic_path, write_json
from dar_bench.nn.llama import LlamaConfig
from dar_bench_dar.cards import AR_OPTIONS, LAYOUT, decode_options
from dar_bench_dar.model.ar import count_ar_parameters
from dar_bench_dar.model.config import TokenizerConfig
from dar_bench_dar.model.tokenizer import SequentialDiffusionTokenizer, count_parameters

WEIGHTS_NAME = "model.safetensors"
DESCRIPTION_NAME = "model.json"
TRAINING_HEAD = "pixel_decoder.repa_out."


def export_tokenizer(model: SequentialDiffusionTokenizer, folder: Path, dtype: str = "float32") -> None:
    """Write a tokenizer without its training-only head, rounded to ``dtype``."""
    config = dataclasses.asdict(dataclasses.replace(model.config, repa_dim=0))
    _write(
        model,
        folder,
        {"plugin": "dar", "kind": "tokenizer", "config": config},
        dtype,
        leave_out=TRAINING_HEAD,
    )


def export_ar(
    model: nn.Module,
    config: LlamaConfig,
    tokenizer: str,
    class_names: tuple[str, ...],
    folder: Path,
    dtype: str = "float32",
) -> None:
    """Write an autoregressive model, rounded to ``dtype``, with the name of the tokenizer that decodes its codes."""
    description = {
        "plugin": "dar",
        "kind": "ar",
        "config": dataclasses.asdict(config),
        "tokenizer": tokenizer,
        "class_names": list(class_names),
    }
    _write(model, folder, description, dtype)


def _write(
    model: nn.Module, folder: Path, description: dict[str, Any], dtype: str, leave_out: str = ""
) -> None:
    from safetensors.torch import save_file

    kept = {
        name: tensor
        for name, tensor in model.state_dict().items()
        if not (leave_out and name.startswith(leave_out))
    }
    tensors = {
        name: tensor.detach().to("cpu", getattr(torch, dtype)).contiguous() for name, tensor in kept.items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / WEIGHTS_NAME) as path:
        save_file(tensors, path)
    write_json(folder / DESCRIPTION_NAME, description)


def open_export(folder: Path) -> Card:
    """Return the card of a model folder that training wrote.

    Raises:
        UserError: the folder's description is damaged or of another kind.
    """
    try:
        description = json.loads((folder / DESCRIPTION_NAME).read_text(encoding="utf-8"))
        kind, sizes = description["kind"], description["config"]
        if kind == "tokenizer":
            return _tokenizer_card(folder, TokenizerConfig(**sizes))
        if kind == "ar":
            names = tuple(description["class_names"])
            return ar_card(str(folder.resolve()), LlamaConfig(**sizes), description["tokenizer"], names)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder / DESCRIPTION_NAME} describes no D-AR model.",
            why=f"{type(error).__name__}: {error}",
            hint="Give the export folder of a training run.",
        ) from error
    raise UserError(
        f"{folder} holds a D-AR model of unknown kind '{kind}'.", hint="It may be from a newer version."
    )


def _tokenizer_card(folder: Path, config: TokenizerConfig) -> TokenizerCard:
    return TokenizerCard(
        name=folder.resolve().as_posix(),
        family="tokenizer",
        summary="Sequential diffusion tokenizer from a training run",
        parameters=count_parameters(config),
        layout=LAYOUT,
        image_size=config.image_size,
        tokens=config.tokens,
        codebook_size=config.codebook_size,
        groups=config.groups,
        load="dar_bench_dar.load:load_tokenizer",
        weights=WeightsFile(filename=WEIGHTS_NAME, local=str(folder / WEIGHTS_NAME)),
        options=decode_options(config.tokens, config.groups),
        config=dataclasses.asdict(config),
    )


def ar_card(
    folder: str, config: LlamaConfig, tokenizer_name: str, class_names: tuple[str, ...]
) -> GeneratorCard:
    """Return the card of a trained autoregressive model; ``folder`` is where it was exported to, or empty."""
    from dar_bench.plugins import registry

    tokenizer = registry().card(tokenizer_name)
    return GeneratorCard(
        name=folder or "in training",
        family="vanilla AR",
        summary="D-AR from a training run",
        parameters=count_ar_parameters(config),
        layout=LAYOUT,
        image_size=tokenizer.image_size,
        num_classes=config.num_classes,
        class_names=class_names,
        tokenizer=tokenizer_name,
        load="dar_bench_dar.load:load_generator",
        weights=WeightsFile(filename=WEIGHTS_NAME, local=f"{folder}/{WEIGHTS_NAME}" if folder else ""),
        options=AR_OPTIONS + tokenizer.options,
        config=dataclasses.asdict(config),
    )
