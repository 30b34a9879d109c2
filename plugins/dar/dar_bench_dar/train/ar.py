"""The task of ``dar-bench train ar``: next-token prediction on cached codes (paper, equation 6).

Shape legend: B batch, N tokens, V codebook entries.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from dar_bench.api import LoadOptions, SampleKeys, Tokenizer, TokenizerCard
from dar_bench.console import progress
from dar_bench.data import open_source
from dar_bench.data.codes import CodeCache
from dar_bench.data.tokenization import tokenize
from dar_bench.errors import UserError
from dar_bench.hashing import sha256_file
from dar_bench.nn.llama import Llama, LlamaConfig
from dar_bench.plugins import load_model, registry
from dar_bench.sampling.autoregressive import AutoregressiveGenerator
from dar_bench.sampling.guidance import parse_schedule
from dar_bench.sampling.randomness import integers, uniforms
from dar_bench.training.distributed import on_main
from dar_bench.training.task import TrainingTask
from dar_bench.weights import status, weights_path
from dar_bench_dar.export import ar_card, export_ar
from dar_bench_dar.model.ar import build_ar
from dar_bench_dar.train.recipes import ARRecipe, CodeData


class CodeExamples:
    """Map-style data set of (index, draw): one crop's codes and the label, dropped at random."""

    def __init__(
        self, cache: CodeCache, indices: NDArray[np.int64], data: CodeData, null_label: int, seed: int
    ):
        self.cache = cache
        self.indices = indices
        self.label_dropout = data.label_dropout
        self.null_label = null_label
        self.seed = seed

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Tensor]:
        """Return ``codes`` int64 (N,) and ``label`` int64 ()."""
        position, draw = key
        index = int(self.indices[position])
        keys = SampleKeys(seed=self.seed, indices=(draw,))
        crop = int(integers(keys, "train-crop", 0, self.cache.crops, 1)[0, 0])
        dropped = uniforms(keys, "train-label", 1)[0, 0] <= self.label_dropout
        label = self.null_label if dropped else self.cache.label(index)
        return {"codes": torch.from_numpy(self.cache.codes(index, crop)), "label": torch.tensor(label)}


class NextToken(nn.Module):
    """Cross entropy of every token given the class and the tokens before it."""

    def __init__(self, network: Llama):
        super().__init__()
        self.network = network

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss in nats per token and the share of tokens predicted first.

        Args:
            batch: ``codes`` int64 (B, N), ``label`` int64 (B,).
        """
        codes = batch["codes"]
        logits = self.network(codes[:, :-1], batch["label"])  # (B, N, V)
        loss = F.cross_entropy(logits.flatten(0, 1), codes.flatten())
        accuracy = (logits.detach().argmax(-1) == codes).float().mean()
        return loss, {"accuracy": accuracy}


class ARTask(TrainingTask):
    """Trains the Llama on a tokenizer's codes, which are cached first where no cache is given."""

    free_on_resume = frozenset({"evaluation.samples", "evaluation.cfg", "data.batch_size", "export.dtype"})

    def __init__(self, recipe: ARRecipe, run_dir: Path, device: torch.device | None = None):
        self.recipe = recipe
        self._device = device or torch.device("cpu")
        card = registry().card(recipe.data.tokenizer)
        if not isinstance(card, TokenizerCard):
            raise UserError(f"'{recipe.data.tokenizer}' is no tokenizer.", hint="See 'dar-bench models'.")
        self.tokenizer_card = card
        self.schedule = parse_schedule(recipe.evaluation.cfg)
        if recipe.evaluation.samples and recipe.train.image_every:
            weights_path(card)  # told now, not when the first pictures are due
        self.cache = self._open_codes(run_dir)
        self.class_names = self.cache.class_names
        self.config = self._sizes()
        torch.manual_seed(recipe.train.seed)
        self.network = build_ar(self.config)
        self.module = NextToken(self.network)
        kept, self.held_out = self._split()
        self.dataset = CodeExamples(self.cache, kept, recipe.data, self.config.num_classes, recipe.train.seed)
        self._tokenizer: Tokenizer | None = None

    def _open_codes(self, run_dir: Path) -> CodeCache:
        """Open the given cache, or fill one inside the run folder."""
        data, card = self.recipe.data, self.tokenizer_card
        if data.codes:
            cache = CodeCache.open(Path(data.codes))
            self._check_codes(cache)
            return cache
        source = open_source(data.train)
        folder = run_dir / "codes"

        def fill() -> None:
            model = load_model(data.tokenizer, LoadOptions(device=str(self._device)))
            if not isinstance(model, Tokenizer):
                raise TypeError(f"{data.tokenizer} is not a tokenizer")
            with progress(f"Encoding {data.train}", len(source)) as bar:
                tokenize(
                    model,
                    source,
                    folder,
                    weights_sha256=sha256_file(weights_path(card)),
                    crops=data.crops,
                    batch_size=data.batch_size,
                    on_images=bar.advance,
                )

        on_main(fill)
        return CodeCache.open(folder)

    def _check_codes(self, cache: CodeCache) -> None:
        """Refuse codes that are unfinished, or not of the tokenizer that will decode the samples."""
        data, card = self.recipe.data, self.tokenizer_card
        if not cache.complete:
            raise UserError(
                f"The codes in {data.codes} are not complete: {len(cache)} of {cache.expected} images.",
                hint="Run the same 'dar-bench tokenize' again; it goes on where it stopped.",
            )
        why = ""
        if cache.key.tokens != card.tokens or cache.key.codebook_size != card.codebook_size:
            why = (
                f"They have {cache.key.tokens} tokens of {cache.key.codebook_size} codes, the tokenizer "
                f"{card.tokens} of {card.codebook_size}."
            )
        elif status(card) in ("bundled", "present"):  # elsewhere the sizes are all there is to compare
            weights = sha256_file(weights_path(card))
            if cache.key.tokenizer != weights:
                why = (
                    f"They were made with weights {cache.key.tokenizer[:12]}, its weights are {weights[:12]}."
                )
        if why:
            raise UserError(
                f"The codes in {data.codes} are not those of '{data.tokenizer}'.",
                why=why,
                hint="Name the tokenizer that made them with --tokenizer, or make them again.",
            )

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
            loaded = load_model(self.recipe.data.tokenizer, LoadOptions(device=str(self._device)))
            if not isinstance(loaded, Tokenizer):
                raise TypeError(f"{self.recipe.data.tokenizer} is not a tokenizer")
            self._tokenizer = loaded
        options = {
            "cfg": self.schedule,
            "temperature": 1.0,
            "top-k": 0,
            "top-p": 1.0,
        }
        card = ar_card("", self.config, self._tokenizer_name(), self.class_names)
        generator = AutoregressiveGenerator(card, ema_module.network, self._tokenizer, self._device)
        labels = torch.arange(count) % self.config.num_classes
        keys = SampleKeys(seed=self.recipe.train.seed, indices=tuple(range(count)))
        batch = next(iter(generator.generate(labels, keys, options)))
        return {"samples": batch.images.cpu()}

    def export(self, ema_module: nn.Module, folder: Path) -> None:
        """Write the averaged weights as a model folder that every command accepts in place of a name."""
        if not isinstance(ema_module, NextToken):
            raise TypeError("the exported module is not the trained one")
        export_ar(
            ema_module.network,
            self.config,
            self._tokenizer_name(),
            self.class_names,
            folder,
            self.recipe.export.dtype,
        )

    def _tokenizer_name(self) -> str:
        """Return the tokenizer's name, or the absolute path of its folder, as the exported model refers to it."""
        return self.tokenizer_card.name
