"""What every extractor asks of its images."""

from __future__ import annotations

import torch

from dar_bench.errors import UserError


def check_images(images: torch.Tensor) -> None:
    """Refuse what is not a batch of 8-bit RGB images, uint8 (n, 3, H, W)."""
    if images.dtype != torch.uint8:
        raise UserError(
            f"Features are measured on uint8 images, got {str(images.dtype).removeprefix('torch.')}.",
            hint="Round to 0..255 first, as the images would be saved.",
        )
    if images.ndim != 4 or images.shape[1] != 3:
        raise UserError(
            f"Features are measured on RGB images (n, 3, H, W), got shape {tuple(images.shape)}.",
            hint="Convert greyscale or transparent images to RGB.",
        )
    if len(images) == 0:
        raise UserError("No images to extract features from.")
