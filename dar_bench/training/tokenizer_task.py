"""What the trainings of all tokenizers have in common: cropped images in, held-out images reconstructed."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

from dar_bench.training.images import ImageData, held_out_images
from dar_bench.training.recipe_sections import TokenizerEvaluation
from dar_bench.training.task import TrainingTask

SHOWN = 16


class TokenizerTask(TrainingTask):
    """A tokenizer's training; evaluates by reconstructing held-out images.

    Args:
        data: the images.
        evaluation: of the recipe.
        image_size: side of the images in pixels.
        codebook_size: entries of the codebook.
    """

    free_on_resume = frozenset({"data.val", "evaluation.images", "evaluation.batch_size", "export.dtype"})

    def __init__(self, data: ImageData, evaluation: TokenizerEvaluation, image_size: int, codebook_size: int):
        self._evaluation = evaluation
        self._codebook_size = codebook_size
        self.held_out = held_out_images(data.val, image_size, evaluation.images) if data.val else None

    @abstractmethod
    def reconstruct(self, module: nn.Module, images: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """Return codes (B, N) and reconstructions, uint8 (B, 3, H, W), both on the CPU.

        Args:
            module: the trained module, or its average.
            images: uint8 (B, 3, H, W).
            first: number of the first of them; image i gets the same random numbers every time.
        """

    def evaluate(self, module: nn.Module, ema_module: nn.Module, step: int) -> dict[str, float]:
        """Return PSNR of the held-out reconstructions and the share of the codebook they use."""
        if self.held_out is None:
            return {}
        squared, codes = [], []
        size = self._evaluation.batch_size
        for start in range(0, len(self.held_out), size):
            images = self.held_out[start : start + size]
            batch_codes, reconstructed = self.reconstruct(ema_module, images, start)
            squared.append((images.float() - reconstructed.float()).square().mean(dim=(1, 2, 3)))
            codes.append(batch_codes)
        error = torch.cat(squared).clamp(min=1e-10)
        return {
            "psnr": float((10 * torch.log10(255.0**2 / error)).mean()),
            "codebook_utilization": torch.unique(torch.cat(codes)).numel() / self._codebook_size,
        }

    def images(self, ema_module: nn.Module, step: int) -> dict[str, Tensor]:
        """Return held-out images, each followed by its reconstruction."""
        if self.held_out is None:
            return {}
        originals = self.held_out[:: max(1, len(self.held_out) // SHOWN)][:SHOWN]
        _, reconstructed = self.reconstruct(ema_module, originals, 0)
        return {"reconstruction": torch.stack([originals, reconstructed], dim=1).flatten(0, 1)}
