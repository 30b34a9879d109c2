"""The task of ``dar-bench train tokenizer``."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from torch import Tensor, nn

from dar_bench.api import SampleKeys
from dar_bench.errors import UserError
from dar_bench.sampling.randomness import normals
from dar_bench.training.task import TrainingTask
from dar_bench_dar.decode import PixelStream
from dar_bench_dar.export import export_tokenizer
from dar_bench_dar.model.config import TokenizerConfig
from dar_bench_dar.model.tokenizer import SequentialDiffusionTokenizer
from dar_bench_dar.train.images import TokenizerImages, held_out_images
from dar_bench_dar.train.losses import alignment_dim, alignment_target, perceptual_distance
from dar_bench_dar.train.objective import TokenizerObjective
from dar_bench_dar.train.recipes import TokenizerRecipe

SHOWN = 16


class TokenizerTask(TrainingTask):
    """Trains the sequential diffusion tokenizer; evaluates by reconstructing held-out images."""

    free_on_resume = frozenset({"data.val", "evaluation.images", "evaluation.batch_size", "export.dtype"})

    def __init__(self, recipe: TokenizerRecipe):
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
        self.held_out = (
            held_out_images(recipe.data.val, recipe.model.image_size, recipe.evaluation.images)
            if recipe.data.val
            else None
        )

    def prepare(self, device: torch.device) -> None:
        """Load the frozen networks of the loss."""
        self.objective.frozen.perceptual = perceptual_distance(self.recipe.loss, device)
        self.objective.frozen.alignment = alignment_target(self.recipe.loss, device)

    def after_step(self, step: int) -> None:
        """Tell the objective how far the training is."""
        self.objective.steps_done.fill_(step)

    def evaluate(self, module: nn.Module, ema_module: nn.Module, step: int) -> dict[str, float]:
        """Return PSNR of the held-out reconstructions and the share of the codebook they use."""
        if self.held_out is None:
            return {}
        squared, codes = [], []
        size = self.recipe.evaluation.batch_size
        for start in range(0, len(self.held_out), size):
            images = self.held_out[start : start + size]
            batch_codes, reconstructed = self._reconstruct(ema_module, images, start)
            squared.append((images.float() - reconstructed.float()).square().mean(dim=(1, 2, 3)))
            codes.append(batch_codes)
        error = torch.cat(squared).clamp(min=1e-10)
        return {
            "psnr": float((10 * torch.log10(255.0**2 / error)).mean()),
            "codebook_utilization": torch.cat(codes).unique().numel() / self.config.codebook_size,
        }

    def images(self, ema_module: nn.Module, step: int) -> dict[str, Tensor]:
        """Return held-out images, each followed by its reconstruction."""
        if self.held_out is None:
            return {}
        originals = self.held_out[:: max(1, len(self.held_out) // SHOWN)][:SHOWN]
        _, reconstructed = self._reconstruct(ema_module, originals, 0)
        return {"reconstruction": torch.stack([originals, reconstructed], dim=1).flatten(0, 1)}

    def _reconstruct(self, module: nn.Module, images: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """Return codes and reconstructions of uint8 images, on the CPU; image i always gets the same noise."""
        assert isinstance(module, TokenizerObjective)
        model = module.tokenizer
        device = next(model.parameters()).device
        codes = model.encode(images.to(device).float() / 127.5 - 1.0)
        keys = SampleKeys(seed=self.recipe.train.seed, indices=tuple(range(first, first + len(images))))
        stream = PixelStream(model, normals(keys, "noise", tuple(images.shape[1:])).to(device))
        stream.push(codes)
        return codes.cpu(), stream.images().cpu()

    def export(self, ema_module: nn.Module, folder: Path) -> None:
        """Write the averaged weights as a model folder that every command accepts in place of a name."""
        assert isinstance(ema_module, TokenizerObjective)
        export_tokenizer(ema_module.tokenizer, folder, self.recipe.export.dtype)
