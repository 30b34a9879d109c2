"""Cards and weights to autoencoders on a device."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from dar_bench.api import AutoencoderCard, Card, LoadOptions
from dar_bench.data.pixel_range import from_uint8, to_uint8
from dar_bench.filling import fill, parameter_count, shapes
from dar_bench_kl.model import KLAutoencoder, KLConfig


class ScaledAutoencoder:
    """Implements ``dar_bench.api.Autoencoder``: uint8 images to scaled latents and back.

    Args:
        card: its card.
        model: on its device and in evaluation mode.
    """

    def __init__(self, card: AutoencoderCard, model: KLAutoencoder):
        self.card = card
        self.model = model

    @torch.inference_mode()
    def moments(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of the scaled latents, float32 (B, C, h, w) each, of uint8 images."""
        first = self.model.encoder.conv_in.weight
        mean, deviation = self.model.moments(from_uint8(images.to(first.device)).to(first.dtype))
        scale = self.model.config.scale
        return mean * scale, deviation * scale

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> Tensor:
        """Return uint8 images (B, 3, H, W) of scaled latents (B, C, h, w)."""
        first = self.model.decoder.conv_in.weight
        unscaled = (latents.to(first.device) / self.model.config.scale).to(first.dtype)
        return to_uint8(self.model.decode(unscaled).float())


def load_autoencoder(card: Card, weights: Path, options: LoadOptions) -> ScaledAutoencoder:
    """Return an autoencoder ready for use; ``load`` of the cards.

    It stays in float32 whatever ``options.dtype`` says: the published numbers were made so, and its cost beside a
    generator's hundreds of steps is small.
    """
    if not isinstance(card, AutoencoderCard):
        raise TypeError(f"{card.name} is not an autoencoder card")
    model = empty(card)
    fill(model, card, weights)
    model.float().to(options.device).eval().requires_grad_(False)
    if options.compile:
        model.decoder.compile()
    return ScaledAutoencoder(card, model)


def layout(card: Card) -> dict[str, tuple[int, ...]]:
    """Return name and shape of every tensor of a card's model; ``layout`` of all cards."""
    return shapes(empty(card))


def count_card(card: Card) -> int:
    """Return a card's number of parameters without allocating them; ``count_parameters`` of all cards."""
    return parameter_count(empty(card))


def empty(card: Card) -> KLAutoencoder:
    """Return a card's network on the meta device."""
    with torch.device("meta"):
        return KLAutoencoder(KLConfig(**card.config))
