"""The task of an autoregressive training: what all plugins with a Llama over codes have in common."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dar_bench.api import SampleKeys, Tokenizer, TokenizerCard
from dar_bench.errors import UserError
from dar_bench.nn.llama import Llama, LlamaConfig
from dar_bench.plugins import registry
from dar_bench.sampling.autoregressive import AutoregressiveGenerator
from dar_bench.sampling.guidance import parse_schedule
from dar_bench.training.code_caches import open_codes, open_tokenizer
from dar_bench.training.generator_kind import GeneratorKind
from dar_bench.training.next_token import CodeExamples, NextToken
from dar_bench.training.next_token_recipe import NextTokenRecipe
from dar_bench.training.task import TrainingTask
from dar_bench.weights import weights_path


class NextTokenTask(TrainingTask):
    """Trains a Llama on a tokenizer's codes, which are cached first where no cache is given.

    Derive from it, set ``kind`` and override ``build``.

    Args:
        recipe: of the training.
        run_dir: its folder, where codes are cached.
        device: of the encoding; the processes must have joined, for one of them encodes while the others wait.

    Attributes:
        kind: how the trained model is written and becomes a card.
    """

    kind: GeneratorKind

    free_on_resume = frozenset({"evaluation.samples", "evaluation.cfg", "data.batch_size", "export.dtype"})

    def __init__(self, recipe: NextTokenRecipe, run_dir: Path, device: torch.device | None = None):
        self.recipe = recipe
        self._device = device or torch.device("cpu")
        card = registry().card(recipe.data.tokenizer)
        if not isinstance(card, TokenizerCard):
            raise UserError(f"'{recipe.data.tokenizer}' is no tokenizer.", hint="See 'dar-bench models'.")
        self.tokenizer_card = card
        self.schedule = parse_schedule(recipe.evaluation.cfg)
        if recipe.evaluation.samples and recipe.train.image_every:
            weights_path(card)  # told now, not when the first pictures are due
        self.cache = open_codes(recipe.data, card, run_dir, self._device)
        self.class_names = self.cache.class_names
        self.config = self._sizes()
        torch.manual_seed(recipe.train.seed)
        self.network = self.build(self.config)
        self.module = NextToken(self.network)
        kept, self.held_out = self._split()
        self.dataset = CodeExamples(self.cache, kept, recipe.data, self.config.num_classes, recipe.train.seed)
        self._tokenizer: Tokenizer | None = None

    def _sizes(self) -> LlamaConfig:
        model, card = self.recipe.model, self.tokenizer_card
        highest = int(self.cache.labels().max())
        if highest >= model.num_classes or int(self.cache.labels().min()) < 0:
            raise UserError(
                f"The data has labels {int(self.cache.labels().min())} to {highest}, the model "
                f"{model.num_classes} classes.",
                hint=f"Use labelled data, and --set model.num_classes={highest + 1} or more.",
            )
        return LlamaConfig(
            layers=model.depth,
            heads=model.heads,
            dim=model.width,
            codebook_size=card.codebook_size,
            num_tokens=card.tokens,
            num_classes=model.num_classes,
            dropout=model.dropout,
        )

    def _split(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return image indices for training and for the validation loss, evenly interleaved."""
        count = len(self.cache)
        held = round(self.recipe.evaluation.held_out * count)
        chosen = np.linspace(0, count - 1, held).round().astype(int) if held else np.empty(0, dtype=int)
        return np.setdiff1d(np.arange(count), chosen), chosen

    @abstractmethod
    def build(self, config: LlamaConfig) -> Llama:
        """Return the network with fresh weights."""

    def prepare(self, device: torch.device) -> None:
        """Remember the device of the previews."""
        self._device = device

    def evaluate(self, module: nn.Module, ema_module: nn.Module, step: int) -> dict[str, float]:
        """Return the validation loss of the averaged weights, in nats per token."""
        if not len(self.held_out):
            return {}
        total, seen = 0.0, 0
        for start in range(0, len(self.held_out), 64):
            chosen = [int(i) for i in self.held_out[start : start + 64]]
            batch: dict[str, Any] = {
                "codes": torch.from_numpy(np.stack([self.cache.codes(i, 0) for i in chosen])).to(
                    self._device
                ),
                "label": torch.tensor([self.cache.label(i) for i in chosen], device=self._device),
            }
            total += float(ema_module(batch)[0]) * len(chosen)
            seen += len(chosen)
        return {"validation_loss": total / seen}

    def images(self, ema_module: nn.Module, step: int) -> dict[str, Tensor]:
        """Return samples of the averaged weights, classes in turn; sample i has the same seed every time."""
        count = self.recipe.evaluation.samples
        if not count or not isinstance(ema_module, NextToken):
            return {}
        if self._tokenizer is None:
            self._tokenizer = open_tokenizer(self.recipe.data.tokenizer, self._device)
        options = {
            "cfg": self.schedule,
            "temperature": 1.0,
            "top-k": 0,
            "top-p": 1.0,
        }
        card = self.kind.card("", self.config, self.tokenizer_card.name, self.class_names)
        generator = AutoregressiveGenerator(card, ema_module.network, self._tokenizer, self._device)
        labels = torch.arange(count) % self.config.num_classes
        keys = SampleKeys(seed=self.recipe.train.seed, indices=tuple(range(count)))
        batch = next(iter(generator.generate(labels, keys, options)))
        return {"samples": batch.images.cpu()}

    def export(self, ema_module: nn.Module, folder: Path) -> None:
        """Write the averaged weights as a model folder that every command accepts in place of a name."""
        if not isinstance(ema_module, NextToken):
            raise TypeError("the exported module is not the trained one")
        # The tokenizer's name, or the absolute path of its folder.
        self.kind.write(
            ema_module.network,
            self.config,
            self.tokenizer_card.name,
            self.class_names,
            folder,
            self.recipe.export.dtype,
        )
