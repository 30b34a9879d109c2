"""Pixels between uint8 and the range [-1, 1] that networks work in, as the published evaluations convert them."""

from __future__ import annotations

import torch
from torch import Tensor

from dar_bench.api import TokenizerCard
from dar_bench.errors import UserError


def from_uint8(images: Tensor) -> Tensor:
    """Return float32 images in [-1, 1] of uint8 ones."""
    return images.float() / 127.5 - 1.0


def to_uint8(images: Tensor) -> Tensor:
    """Return uint8 images of floats around [-1, 1]: ``127.5 x + 128``, clamped to 0..255, truncated."""
    return (127.5 * images + 128.0).clamp(0, 255).to(torch.uint8)


def check_images(card: TokenizerCard, images: Tensor) -> None:
    """Refuse what a tokenizer cannot encode.

    Raises:
        UserError: ``images`` is not uint8 (B, 3, H, W) of the card's size.
    """
    size = card.image_size
    if images.dtype != torch.uint8 or images.shape[1:] != (3, size, size):
        raise UserError(
            f"'{card.name}' encodes uint8 images of 3 x {size} x {size}, "
            f"not {str(images.dtype).removeprefix('torch.')} {' x '.join(map(str, images.shape[1:]))}.",
            hint="Crop them first, as the commands do (dar_bench.data.transforms.center_crop).",
        )
