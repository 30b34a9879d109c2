"""Trained models as folders, accepted wherever a model's name is."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dar_bench.api import Card, TokenizerCard, WeightsFile
from dar_bench.training.generator_kind import GeneratorKind
from dar_bench.training.model_folder import WEIGHTS_NAME, read_model_folder, write_model_folder
from dar_bench_llamagen.cards import COUNT, LAYOUT, LOAD_GENERATOR, LOAD_TOKENIZER
from dar_bench_llamagen.load import count_card
from dar_bench_llamagen.model.tokenizer import TokenizerConfig, VQTokenizer

AR = GeneratorKind(
    plugin="llamagen",
    summary="LlamaGen from a training run",
    load=LOAD_GENERATOR,
    layout=LAYOUT,
    count_parameters=COUNT,
)


def export_tokenizer(model: VQTokenizer, folder: Path, dtype: str = "float32") -> None:
    """Write a tokenizer, rounded to ``dtype``."""
    description = {"plugin": "llamagen", "kind": "tokenizer", "config": dataclasses.asdict(model.config)}
    write_model_folder(model, folder, description, dtype)


def open_export(folder: Path) -> Card:
    """Return the card of a model folder that training wrote.

    Raises:
        UserError: the folder's description is damaged or of another kind.
    """
    return read_model_folder(folder, "LlamaGen", {"tokenizer": _open_tokenizer, "ar": AR.open})


def _open_tokenizer(folder: Path, description: Mapping[str, Any]) -> Card:
    config = TokenizerConfig(**description["config"])
    card = TokenizerCard(
        name=folder.resolve().as_posix(),
        family="tokenizer",
        summary="LlamaGen tokenizer from a training run",
        parameters=0,
        layout=LAYOUT,
        count_parameters=COUNT,
        image_size=config.image_size,
        tokens=config.tokens,
        codebook_size=config.codebook_size,
        load=LOAD_TOKENIZER,
        weights=WeightsFile(filename=WEIGHTS_NAME, local=str(folder / WEIGHTS_NAME)),
        config=dataclasses.asdict(config),
    )
    return dataclasses.replace(card, parameters=count_card(card))
