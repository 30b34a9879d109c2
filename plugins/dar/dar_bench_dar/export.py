"""Trained models as folders: ``model.safetensors`` and ``model.json``, accepted wherever a model's name is."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dar_bench.api import Card, TokenizerCard, WeightsFile
from dar_bench.training.generator_kind import GeneratorKind
from dar_bench.training.model_folder import WEIGHTS_NAME, read_model_folder, write_model_folder
from dar_bench_dar.cards import COUNT, LAYOUT, LOAD_GENERATOR, LOAD_TOKENIZER, decode_options
from dar_bench_dar.model.config import TokenizerConfig
from dar_bench_dar.model.tokenizer import SequentialDiffusionTokenizer, count_parameters

AR = GeneratorKind(
    plugin="dar",
    summary="D-AR from a training run",
    load=LOAD_GENERATOR,
    layout=LAYOUT,
    count_parameters=COUNT,
)
TRAINING_HEAD = "pixel_decoder.repa_out."


def export_tokenizer(model: SequentialDiffusionTokenizer, folder: Path, dtype: str = "float32") -> None:
    """Write a tokenizer without its training-only head, rounded to ``dtype``."""
    config = dataclasses.asdict(dataclasses.replace(model.config, repa_dim=0))
    write_model_folder(
        model,
        folder,
        {"plugin": "dar", "kind": "tokenizer", "config": config},
        dtype,
        leave_out=TRAINING_HEAD,
    )


def open_export(folder: Path) -> Card:
    """Return the card of a model folder that training wrote.

    Raises:
        UserError: the folder's description is damaged or of another kind.
    """
    return read_model_folder(folder, "D-AR", {"tokenizer": _open_tokenizer, "ar": AR.open})


def _open_tokenizer(folder: Path, description: Mapping[str, Any]) -> Card:
    return _tokenizer_card(folder, TokenizerConfig(**description["config"]))


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
        load=LOAD_TOKENIZER,
        weights=WeightsFile(filename=WEIGHTS_NAME, local=str(folder / WEIGHTS_NAME)),
        options=decode_options(config.tokens, config.groups),
        config=dataclasses.asdict(config),
    )
