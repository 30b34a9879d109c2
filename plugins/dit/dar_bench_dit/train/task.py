"""The task of ``dar-bench train dit``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dar_bench.api import Autoencoder, AutoencoderCard, LoadOptions, SampleKeys
from dar_bench.errors import UserError
from dar_bench.loading import autoencoder_card
from dar_bench.nn.diffusion_transformer import DiffusionTransformer
from dar_bench.options import parse_options
from dar_bench.plugins import load_model
from dar_bench.sampling.diffusion import linear_process
from dar_bench.training.task import TrainingTask
from dar_bench.weights import weights_path
from dar_bench_dit.export import export_dit, trained_card
from dar_bench_dit.model import dit_config
from dar_bench_dit.sample import DitGenerator
from dar_bench_dit.train.examples import Chosen, NoisedImages
from dar_bench_dit.train.objective import Denoising
from dar_bench_dit.train.recipes import DitRecipe

VALIDATION_BATCH = 64
VALIDATION_DRAW = 2**40
"""First draw of the validation examples, far beyond those of any training."""


class DitTask(TrainingTask):
    """Trains a diffusion transformer; evaluates the loss on held-out images and draws samples."""

    free_on_resume = frozenset({"evaluation.samples", "evaluation.cfg", "evaluation.steps", "export.dtype"})

    def __init__(self, recipe: DitRecipe):
        self.recipe = recipe
        model = recipe.model
        self.autoencoder_card = _autoencoder_of(recipe)
        channels, factor = 3, 1
        if self.autoencoder_card is not None:
            channels, factor = self.autoencoder_card.latent_channels, self.autoencoder_card.factor
        side = _side(recipe, factor)
        config = {
            "input_size": side,
            "patch_size": model.patch_size,
            "channels": channels,
            "width": model.width,
            "depth": model.depth,
            "heads": model.heads,
            "num_classes": model.num_classes,
            "pixel_scale": model.pixel_scale,
        }
        process = linear_process()
        examples = NoisedImages(recipe, (channels, side, side), len(process))
        _check_labels(examples.labels, model.num_classes)
        self.card = trained_card(
            config,
            image_size=model.image_size,
            autoencoder=model.autoencoder,
            class_names=examples.source.class_names,
        )
        # Told now, not when the first pictures are due.
        self.sampling = parse_options(
            self.card,
            {
                "cfg": recipe.evaluation.cfg,
                "steps": str(recipe.evaluation.steps),
                "solver": "ddim",
            },
        )
        torch.manual_seed(recipe.train.seed)
        network = DiffusionTransformer(dit_config(config))
        network.initialize()
        self.module = self.objective = Denoising(network, process, model.pixel_scale)
        self.dataset, self.held_out = self._split(examples)
        self._device = torch.device("cpu")

    def _split(self, examples: NoisedImages) -> tuple[Chosen, Chosen]:
        """Return the examples of the training and of the validation loss; of one set, they are evenly interleaved."""
        data, share, count = self.recipe.data, self.recipe.evaluation.held_out, len(examples)
        if data.val and share:
            raise UserError(
                "The recipe gives both held-out data and a share of the training data to hold out.",
                hint="Set data.val, or evaluation.held_out, not both.",
            )
        if data.val:
            apart = replace(self.recipe, data=replace(data, train=data.val, crop="center", flip=False))
            held = NoisedImages(apart, examples.shape, examples.steps)
            _check_labels(held.labels, self.recipe.model.num_classes)
            return Chosen(examples, np.arange(count)), Chosen(held, np.arange(len(held)))
        held_count = round(share * count)
        chosen = np.linspace(0, count - 1, held_count).round().astype(int)
        return Chosen(examples, np.setdiff1d(np.arange(count), chosen)), Chosen(examples, chosen)

    def prepare(self, device: torch.device) -> None:
        """Load the autoencoder of the loss."""
        self._device = device
        if self.autoencoder_card is not None:
            loaded = load_model(self.autoencoder_card.name, LoadOptions(device=str(device)))
            if not isinstance(loaded, Autoencoder):
                raise TypeError(f"{self.autoencoder_card.name} is not an autoencoder")
            self.objective.frozen.autoencoder = loaded

    def evaluate(self, module: nn.Module, ema_module: nn.Module, step: int) -> dict[str, float]:
        """Return the loss of the averaged weights on held-out images, at the same steps and noise every time."""
        count = len(self.held_out)
        totals: dict[str, float] = {}
        for start in range(0, count, VALIDATION_BATCH):
            chosen = range(start, min(start + VALIDATION_BATCH, count))
            examples = [self.held_out[position, VALIDATION_DRAW + position] for position in chosen]
            batch = {
                name: torch.stack([example[name] for example in examples]).to(self._device)
                for name in examples[0]
            }
            loss, terms = ema_module(batch)
            for name, value in {"loss": loss, **terms}.items():
                key = f"validation_{name}"
                totals[key] = totals.get(key, 0.0) + float(value) * len(chosen) / count
        return totals

    def images(self, ema_module: nn.Module, step: int) -> dict[str, Tensor]:
        """Return samples of the averaged weights, classes in turn; sample i has the same seed every time."""
        count = self.recipe.evaluation.samples
        if not count or not isinstance(ema_module, Denoising):
            return {}
        generator = DitGenerator(self.card, ema_module.network, self.objective.frozen.autoencoder)
        labels = torch.arange(count) % self.card.num_classes
        keys = SampleKeys(seed=self.recipe.train.seed, indices=tuple(range(count)))
        batch = next(iter(generator.generate(labels, keys, self.sampling)))
        return {"samples": batch.images.cpu()}

    def export(self, ema_module: nn.Module, folder: Path) -> None:
        """Write the averaged weights as a model folder that every command accepts in place of a name."""
        if not isinstance(ema_module, Denoising):
            raise TypeError("the exported module is not the trained one")
        export_dit(ema_module.network, self.card, folder, self.recipe.export.dtype)


def _autoencoder_of(recipe: DitRecipe) -> AutoencoderCard | None:
    if not recipe.model.autoencoder:
        return None
    card = autoencoder_card(recipe.model.autoencoder)
    weights_path(card)  # told before the images are read
    return card


def _side(recipe: DitRecipe, factor: int) -> int:
    """Return the side of what the network learns."""
    model = recipe.model
    if model.image_size % (factor * model.patch_size):
        latents = f"latents {factor} times smaller and " if factor > 1 else ""
        raise UserError(
            f"Images of {model.image_size} px do not divide into patches.",
            why=f"With {latents}patches of {model.patch_size} the side must be a multiple of "
            f"{factor * model.patch_size}.",
            hint="Change model.image_size or model.patch_size.",
        )
    return model.image_size // factor


def _check_labels(labels: NDArray[np.int64], num_classes: int) -> None:
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest >= num_classes:
        raise UserError(
            f"The data has labels {lowest} to {highest}, the model {num_classes} classes.",
            hint=f"Use labelled data, and --set model.num_classes={highest + 1} or more.",
        )
