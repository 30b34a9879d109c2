"""The KL autoencoder of latent diffusion (Rombach et al., arXiv 2112.10752), from the core's convolutional blocks.

Shape legend: B batch, H x W pixels, C latent channels, h x w places of the latents.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dar_bench.nn.conv_blocks import ImageDecoder, ImageEncoder

LOWEST_LOG_VARIANCE, HIGHEST_LOG_VARIANCE = -30.0, 20.0


@dataclass(frozen=True, kw_only=True)
class KLConfig:
    """Sizes.

    Attributes:
        width, multipliers: channels of the first level, and of every level in multiples of it.
        encoder_blocks, decoder_blocks: residual blocks of a level.
        latent_channels: C.
        encoder_attention: attention behind the blocks of the encoder's deepest level too, not only in the middle.
        scale: factor that brings the latents to about unit variance; generators learn scaled latents.
    """

    width: int
    multipliers: tuple[int, ...]
    encoder_blocks: int
    decoder_blocks: int
    latent_channels: int
    encoder_attention: bool
    scale: float


class KLAutoencoder(nn.Module):
    """Encoder to a diagonal Gaussian over latents, decoder from a latent."""

    def __init__(self, config: KLConfig):
        super().__init__()
        self.config = config
        channels, multipliers = config.latent_channels, tuple(config.multipliers)
        self.encoder = ImageEncoder(
            config.width,
            multipliers,
            config.encoder_blocks,
            2 * channels,
            attention=config.encoder_attention,
        )
        self.quant_conv = nn.Conv2d(2 * channels, 2 * channels, 1)
        self.post_quant_conv = nn.Conv2d(channels, channels, 1)
        self.decoder = ImageDecoder(
            config.width, multipliers, config.decoder_blocks, channels, attention=False
        )

    def moments(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation (B, C, h, w) of the unscaled latents of images in [-1, 1]."""
        mean, log_variance = self.quant_conv(self.encoder(images)).float().chunk(2, dim=1)
        deviation = torch.exp(0.5 * log_variance.clamp(LOWEST_LOG_VARIANCE, HIGHEST_LOG_VARIANCE))
        return mean, deviation

    def decode(self, latents: Tensor) -> Tensor:
        """Return images (B, 3, H, W) around [-1, 1], not clamped, of unscaled latents."""
        images: Tensor = self.decoder(self.post_quant_conv(latents))
        return images
