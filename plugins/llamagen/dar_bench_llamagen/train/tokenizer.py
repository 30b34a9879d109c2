"""The task of ``dar-bench train llamagen-tokenizer``."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from torch import Tensor, nn

from dar_bench.data.pixel_range import from_uint8, to_uint8
from dar_bench.training.adversarial import DiscriminatorObjective, PatchDiscriminator
from dar_bench.training.images import CroppedImages
from dar_bench.training.perceptual import perceptual_distance
from dar_bench.training.task import Adversary
from dar_bench.training.tokenizer_task import TokenizerTask
from dar_bench_llamagen.export import export_tokenizer
from dar_bench_llamagen.model.tokenizer import TokenizerConfig, VQTokenizer
from dar_bench_llamagen.train.objective import VQObjective
from dar_bench_llamagen.train.recipes import TokenizerRecipe


class VQTokenizerTask(TokenizerTask):
    """Trains the VQ tokenizer and, from a step on, a discriminator against it."""

    def __init__(self, recipe: TokenizerRecipe):
        super().__init__(recipe.data, recipe.evaluation, recipe.model.image_size, recipe.model.codebook_size)
        self.recipe = recipe
        config = TokenizerConfig(**dataclasses.asdict(recipe.model))
        torch.manual_seed(recipe.train.seed)
        self.objective = VQObjective(VQTokenizer(config), recipe.loss)
        self.module = self.objective
        self.dataset = CroppedImages(recipe.data, config.image_size, recipe.train.seed)
        if recipe.loss.adversarial:
            discriminator = PatchDiscriminator(recipe.discriminator.width, recipe.discriminator.layers)
            critic = DiscriminatorObjective(discriminator, recipe.loss.adversarial)
            self.objective.critics.discriminator = critic
            self.adversary = Adversary(
                module=critic,
                optimizer=recipe.discriminator_optimizer,
                start=recipe.loss.adversarial_start,
            )

    def prepare(self, device: torch.device) -> None:
        """Load the frozen network of the loss."""
        self.objective.critics.perceptual = perceptual_distance(self.recipe.loss, device)

    def after_step(self, step: int) -> None:
        """Tell the objective how far the training is."""
        self.objective.steps_done.fill_(step)

    def reconstruct(self, module: nn.Module, images: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """Return codes and reconstructions of uint8 images, on the CPU."""
        if not isinstance(module, VQObjective):
            raise TypeError("the evaluated module is not the trained one")
        model = module.tokenizer
        codes = model.encode(from_uint8(images.to(next(model.parameters()).device)))
        return codes.cpu(), to_uint8(model.decode(codes)).cpu()

    def export(self, ema_module: nn.Module, folder: Path) -> None:
        """Write the averaged weights as a model folder that every command accepts in place of a name."""
        if not isinstance(ema_module, VQObjective):
            raise TypeError("the exported module is not the trained one")
        export_tokenizer(ema_module.tokenizer, folder, self.recipe.export.dtype)
