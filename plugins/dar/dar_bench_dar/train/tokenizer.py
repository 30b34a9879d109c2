"""The task of ``dar-bench train tokenizer``."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from torch import Tensor, nn

from dar_bench.api import SampleKeys
from dar_bench.data.pixel_range import from_uint8
from dar_bench.errors import UserError
from dar_bench.sampling.randomness import normals
from dar_bench.training.perceptual import perceptual_distance
from dar_bench.training.tokenizer_task import TokenizerTask
from dar_bench_dar.decode import PixelStream
from dar_bench_dar.export import export_tokenizer
from dar_bench_dar.model.config import TokenizerConfig
from dar_bench_dar.model.tokenizer import SequentialDiffusionTokenizer
from dar_bench_dar.train.images import TokenizerImages
from dar_bench_dar.train.losses import alignment_dim, alignment_target
from dar_bench_dar.train.objective import TokenizerObjective
from dar_bench_dar.train.recipes import TokenizerRecipe


class SequentialTokenizerTask(TokenizerTask):
    """Trains the sequential diffusion tokenizer; evaluates by reconstructing held-out images."""

    def __init__(self, recipe: TokenizerRecipe):
        super().__init__(recipe.data, recipe.evaluation, recipe.model.image_size, recipe.model.codebook_size)
        self.recipe = recipe
        self.config = TokenizerConfig(**dataclasses.asdict(recipe.model), repa_dim=alignment_dim(recipe.loss))
        if self.config.repa_dim and not 0 <= self.config.repa_block <= self.config.decoder_depth:
            raise UserError(
                f"The alignment loss cannot read the pixel decoder after block {self.config.repa_block}.",
                why=f"It has {self.config.decoder_depth} blocks.",
                hint=f"Set model.repa_block from 0 to {self.config.decoder_depth}, or loss.alignment_weight=0.",
            )
        torch.manual_seed(recipe.train.seed)
        self.objective = TokenizerObjective(SequentialDiffusionTokenizer(self.config), recipe.loss)
        self.module = self.objective
        self.dataset = TokenizerImages(recipe.data, recipe.model.image_size, recipe.train.seed)

    def prepare(self, device: torch.device) -> None:
        """Load the frozen networks of the loss."""
        loss = self.recipe.loss
        self.objective.frozen.perceptual = perceptual_distance(loss, device)
        self.objective.frozen.alignment = alignment_target(loss, device)

    def after_step(self, step: int) -> None:
        """Tell the objective how far the training is."""
        self.objective.steps_done.fill_(step)

    def reconstruct(self, module: nn.Module, images: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """Return codes and reconstructions of uint8 images, on the CPU; image i always gets the same noise."""
        assert isinstance(module, TokenizerObjective)
        model = module.tokenizer
        device = next(model.parameters()).device
        codes = model.encode(from_uint8(images.to(device)))
        keys = SampleKeys(seed=self.recipe.train.seed, indices=tuple(range(first, first + len(images))))
        stream = PixelStream(model, normals(keys, "noise", tuple(images.shape[1:])).to(device))
        stream.push(codes)
        return codes.cpu(), stream.images().cpu()

    def export(self, ema_module: nn.Module, folder: Path) -> None:
        """Write the averaged weights as a model folder that every command accepts in place of a name."""
        assert isinstance(ema_module, TokenizerObjective)
        export_tokenizer(ema_module.tokenizer, folder, self.recipe.export.dtype)
