"""LlamaGen's tokenizer: a convolutional autoencoder around l2-normalised codes (arXiv 2406.06525, section 2.1).

Shape legend: B batch, N tokens (rows of the grid one after the other), E code width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dar_bench.errors import UserError
from dar_bench.nn.conv_blocks import NORM_GROUPS, ImageDecoder, ImageEncoder, to_grid, to_tokens
from dar_bench.nn.quantizer import Quantized, VectorQuantizer


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """Everything that fixes the tokenizer's shape; the defaults are VQ-16 at 256 px.

    Attributes:
        image_size: side of the square image in pixels; shapes no weight.
        codebook_size, code_dim: entries and width of the codebook.
        width, multipliers: channels of the first level, and of every level as multiples of them. Every level but
            the last halves the image, so five levels make patches of 16 px.
        blocks: residual blocks of an encoder level; a decoder level has one more.
        latent: channels between the convolutions and the code's projections.
    """

    image_size: int = 256
    codebook_size: int = 16384
    code_dim: int = 8
    width: int = 128
    multipliers: tuple[int, ...] = (1, 1, 2, 2, 4)
    blocks: int = 2
    latent: int = 256

    def __post_init__(self) -> None:
        def refuse(what: str, hint: str) -> None:
            raise UserError(f"Impossible tokenizer sizes: {what}.", hint=hint)

        object.__setattr__(self, "multipliers", tuple(self.multipliers))  # JSON knows lists only
        for name in ("image_size", "codebook_size", "code_dim", "width", "blocks", "latent"):
            if getattr(self, name) < 1:
                refuse(f"{name} is {getattr(self, name)}", "Give a positive number.")
        if not self.multipliers or min(self.multipliers) < 1:
            refuse(f"multipliers are {list(self.multipliers)}", "Give one positive number for each level.")
        if self.width % NORM_GROUPS:
            refuse(
                f"width {self.width} is not a multiple of the norm's {NORM_GROUPS} groups",
                f"Choose a multiple of {NORM_GROUPS}.",
            )
        if self.image_size % self.patch_size:
            refuse(
                f"{self.image_size} px do not divide into patches of {self.patch_size} px",
                "Choose another image size or number of levels.",
            )

    @property
    def patch_size(self) -> int:
        """Pixels on one side of what a code stands for."""
        return int(2 ** (len(self.multipliers) - 1))

    @property
    def grid(self) -> int:
        """Codes on one side of the image."""
        return self.image_size // self.patch_size

    @property
    def tokens(self) -> int:
        """N, codes of an image."""
        return self.grid**2


class VQTokenizer(nn.Module):
    """Encoder, quantizer and decoder; parameter names are the published ones."""

    def __init__(self, config: TokenizerConfig):
        super().__init__()
        self.config = config
        self.encoder = ImageEncoder(config.width, config.multipliers, config.blocks, config.latent)
        self.quant_conv = nn.Conv2d(config.latent, config.code_dim, 1)
        self.quantize = VectorQuantizer(config.codebook_size, config.code_dim)
        self.post_quant_conv = nn.Conv2d(config.code_dim, config.latent, 1)
        self.decoder = ImageDecoder(config.width, config.multipliers, config.blocks + 1, config.latent)

    def latents(self, image: Tensor) -> Tensor:
        """Return the vectors (B, N, E), of any length, that are quantized, of images (B, 3, H, W) in [-1, 1]."""
        return to_tokens(self.quant_conv(self.encoder(image)))

    def paint(self, vectors: Tensor) -> Tensor:
        """Return images (B, 3, H, W) around [-1, 1], not clamped, of unit code vectors (B, N, E)."""
        image: Tensor = self.decoder(self.post_quant_conv(to_grid(vectors)))
        return image

    def forward(self, image: Tensor) -> tuple[Tensor, Quantized]:
        """Return reconstructions (B, 3, H, W) of images (B, 3, H, W) in [-1, 1], and what quantizing gave."""
        quantized = self.quantize(self.latents(image).float())
        return self.paint(quantized.vectors), quantized

    @torch.no_grad()
    def encode(self, image: Tensor) -> Tensor:
        """Return codes, int64 (B, N), of images (B, 3, H, W) in [-1, 1]."""
        return self.quantize.nearest(F.normalize(self.latents(image).float(), dim=-1))

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Return images (B, 3, H, W) around [-1, 1] of codes (B, N)."""
        return self.paint(self.quantize.lookup(codes))
