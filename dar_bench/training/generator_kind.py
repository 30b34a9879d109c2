"""Trained autoregressive models: how they are written as folders and how the folders become cards."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from dar_bench.api import GeneratorCard, WeightsFile
from dar_bench.nn.llama import LlamaConfig
from dar_bench.plugins import load_object, registry
from dar_bench.sampling.options import autoregressive_options
from dar_bench.training.model_folder import WEIGHTS_NAME, write_model_folder


@dataclass(frozen=True, kw_only=True)
class GeneratorKind:
    """The autoregressive models of one plugin.

    Attributes:
        plugin: its name, as in ``model.json``.
        summary: of the cards.
        load, layout, count_parameters: of the cards, see ``dar_bench.api.Card``.
    """

    plugin: str
    summary: str
    load: str
    layout: str
    count_parameters: str

    def write(
        self,
        model: nn.Module,
        config: LlamaConfig,
        tokenizer: str,
        class_names: tuple[str, ...],
        folder: Path,
        dtype: str = "float32",
    ) -> None:
        """Write a model, rounded to ``dtype``, with the name of the tokenizer that decodes its codes."""
        description = {
            "plugin": self.plugin,
            "kind": "ar",
            "config": dataclasses.asdict(config),
            "tokenizer": tokenizer,
            "class_names": list(class_names),
        }
        write_model_folder(model, folder, description, dtype)

    def open(self, folder: Path, description: Mapping[str, Any]) -> GeneratorCard:
        """Return the card of a folder that ``write`` wrote, given what its ``model.json`` holds."""
        config = LlamaConfig(**description["config"])
        names = tuple(description["class_names"])
        return self.card(str(folder.resolve()), config, description["tokenizer"], names)

    def card(
        self, folder: str, config: LlamaConfig, tokenizer_name: str, class_names: tuple[str, ...]
    ) -> GeneratorCard:
        """Return the card of a trained model; ``folder`` is where it was exported to, or empty."""
        tokenizer = registry().card(tokenizer_name)
        card = GeneratorCard(
            name=folder or "in training",
            family="vanilla AR",
            summary=self.summary,
            parameters=0,
            layout=self.layout,
            image_size=tokenizer.image_size,
            num_classes=config.num_classes,
            class_names=class_names,
            tokenizer=tokenizer_name,
            load=self.load,
            count_parameters=self.count_parameters,
            weights=WeightsFile(filename=WEIGHTS_NAME, local=f"{folder}/{WEIGHTS_NAME}" if folder else ""),
            options=autoregressive_options() + tokenizer.options,
            config=dataclasses.asdict(config),
        )
        count = load_object(self.count_parameters)
        return dataclasses.replace(card, parameters=count(card))
