"""Crops of the ImageNet pipelines: PIL image in, uint8 array of shape (H, W, 3) out.

The centre and random crops are those of guided diffusion (ADM), which D-AR, LlamaGen and most of the zoo
train and evaluate with; they are reproduced to the pixel. Images smaller than the target are enlarged.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

TEN_CROPS = 10


def center_crop(image: Image.Image, size: int) -> Pixels:
    """Resize the short side to ``size`` and cut out the central square (ADM's centre crop).

    Returns:
        uint8 (size, size, 3).
    """
    pixels = _resize_short_side(image, size)
    top = (pixels.shape[0] - size) // 2
    left = (pixels.shape[1] - size) // 2
    return pixels[top : top + size, left : left + size]


def random_crop(
    image: Image.Image,
    size: int,
    random: np.random.Generator,
    min_scale: float = 0.8,
    max_scale: float = 1.0,
) -> Pixels:
    """Cut out a random square whose side is between two fractions of the short side (ADM's random crop).

    The short side is resized to a whole number drawn evenly from ``ceil(size / max_scale)`` to
    ``ceil(size / min_scale)``, then the offsets are drawn evenly from all that fit.

    Args:
        min_scale, max_scale: the square's side as a fraction of the short side, in (0, 1].

    Returns:
        uint8 (size, size, 3).

    Raises:
        ValueError: the fractions are out of range or order.
    """
    if not 0 < min_scale <= max_scale <= 1:
        raise ValueError(f"need 0 < min_scale <= max_scale <= 1, got {min_scale} and {max_scale}")
    short_side = int(random.integers(math.ceil(size / max_scale), math.ceil(size / min_scale) + 1))
    pixels = _resize_short_side(image, short_side)
    top = int(random.integers(pixels.shape[0] - size + 1))
    left = int(random.integers(pixels.shape[1] - size + 1))
    return pixels[top : top + size, left : left + size]


def ten_crop(image: Image.Image, size: int, resize: float = 1.1) -> Pixels:
    """Centre-crop to ``resize`` times the size, then take its ten crops.

    This is the augmentation of the AR training of LlamaGen and D-AR, whose codes are extracted once. The
    order is torchvision's: top left, top right, bottom left, bottom right, centre; then the same five of the
    mirrored image.

    Args:
        resize: at least 1; the enlarged side is rounded down, as in the published extraction.

    Returns:
        uint8 (10, size, size, 3).

    Raises:
        ValueError: ``resize`` is below 1.
    """
    if resize < 1:
        raise ValueError(f"resize must be at least 1, got {resize}")
    square = center_crop(image, int(size * resize))
    return np.concatenate([_five_crop(square, size), _five_crop(flip(square), size)])


def flip(pixels: Pixels) -> Pixels:
    """Mirror pixels (..., H, W, 3) left to right."""
    return pixels[..., ::-1, :]


def random_flip(pixels: Pixels, random: np.random.Generator) -> Pixels:
    """Mirror pixels (..., H, W, 3) left to right with probability 1/2; draws one number either way."""
    return flip(pixels) if random.random() < 0.5 else pixels


def to_chw(pixels: Pixels) -> Pixels:
    """Return pixels (..., H, W, 3) as contiguous (..., 3, H, W), the layout of tensors."""
    return np.ascontiguousarray(np.moveaxis(pixels, -1, -3))


def _resize_short_side(image: Image.Image, size: int) -> Pixels:
    # Halving with a box filter first keeps the bicubic step below a factor of two, where it does not alias.
    while min(image.size) >= 2 * size:
        image = image.resize((image.width // 2, image.height // 2), resample=Image.Resampling.BOX)
    scale = size / min(image.size)
    image = image.resize(
        (round(image.width * scale), round(image.height * scale)), resample=Image.Resampling.BICUBIC
    )
    return np.array(image.convert("RGB"))


def _five_crop(square: Pixels, size: int) -> Pixels:
    end = square.shape[0] - size
    # round() takes halves to the even number, which is where torchvision puts the centre too.
    middle = round(end / 2)
    corners = ((0, 0), (0, end), (end, 0), (end, end), (middle, middle))
    return np.stack([square[top : top + size, left : left + size] for top, left in corners])
