"""Trained models as folders: ``model.safetensors`` and ``model.json``, accepted wherever a model's name is."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dar_bench.api import Card, GeneratorCard, WeightsFile
from dar_bench.nn.diffusion_transformer import DiffusionTransformer
from dar_bench.training.model_folder import WEIGHTS_NAME, read_model_folder, write_model_folder
from dar_bench_dit.cards import COUNT, GUIDED_CHANNELS, LAYOUT, LOAD, sampling_options
from dar_bench_dit.load import count_card
from dar_bench_dit.model import dit_config


def export_dit(model: DiffusionTransformer, card: GeneratorCard, folder: Path, dtype: str) -> None:
    """Write a network, rounded to ``dtype``, with what ``open_export`` makes its card of."""
    description = {
        "plugin": "dit",
        "kind": "dit",
        "config": dict(card.config),
        "image_size": card.image_size,
        "autoencoder": card.autoencoder,
        "class_names": list(card.class_names),
    }
    write_model_folder(model, folder, description, dtype)


def open_export(folder: Path) -> Card:
    """Return the card of a model folder that training wrote.

    Raises:
        UserError: the folder's description is damaged or of another kind.
    """
    return read_model_folder(folder, "DiT", {"dit": _open})


def trained_card(
    config: Mapping[str, Any],
    *,
    image_size: int,
    autoencoder: str,
    class_names: tuple[str, ...],
    folder: str = "",
) -> GeneratorCard:
    """Return the card of a trained network; ``folder`` is where it was exported to, or empty.

    Args:
        config: as ``dit_config`` reads it, with ``pixel_scale``.
    """
    sizes = dit_config(config)
    options = sampling_options(cfg="none", steps=250, solver="ddpm")
    card = GeneratorCard(
        name=folder or "in training",
        family="diffusion",
        summary="DiT from a training run",
        parameters=0,
        image_size=image_size,
        num_classes=sizes.num_classes,
        class_names=class_names,
        autoencoder=autoencoder,
        load=LOAD,
        count_parameters=COUNT,
        layout=LAYOUT,
        weights=WeightsFile(filename=WEIGHTS_NAME, local=f"{folder}/{WEIGHTS_NAME}" if folder else ""),
        options=(*options, GUIDED_CHANNELS) if autoencoder else options,
        config=dict(config),
    )
    return dataclasses.replace(card, parameters=count_card(card))


def _open(folder: Path, description: Mapping[str, Any]) -> Card:
    return trained_card(
        description["config"],
        image_size=description["image_size"],
        autoencoder=description["autoencoder"],
        class_names=tuple(description["class_names"]),
        folder=str(folder.resolve()),
    )
