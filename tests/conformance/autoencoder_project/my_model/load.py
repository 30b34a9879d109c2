"""From a card and a weights file to an autoencoder on a device."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from dar_bench.api import AutoencoderCard, Card, LoadOptions
from dar_bench.checkpoints import check_layout


class Network(nn.Module):
    """Patches to means and log deviations, and back."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Conv2d(3, 12, 4, stride=4, bias=False)
        self.decoder = nn.ConvTranspose2d(6, 3, 2, stride=2)


class MyAutoencoder:
    """Implements ``dar_bench.api.Autoencoder``."""

    def __init__(self, card: AutoencoderCard, network: Network):
        self.card = card
        self.network = network

    @torch.no_grad()
    def moments(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and deviation, float32 (B, 6, 4, 4), of uint8 images (B, 3, 16, 16)."""
        mean, log_deviation = self.network.encoder(images.float() / 127.5 - 1.0).chunk(2, dim=1)
        return mean, log_deviation.exp()

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Return uint8 images (B, 3, 16, 16) of latents (B, 6, 4, 4)."""
        images = nn.functional.interpolate(self.network.decoder(latents), scale_factor=2.0)
        return (127.5 * images + 128.0).clamp(0, 255).to(torch.uint8)


def load_autoencoder(card: AutoencoderCard, weights: Path, options: LoadOptions) -> MyAutoencoder:
    """Return the autoencoder, ready to run."""
    network = empty()
    state = load_file(weights)
    check_layout(card.name, state, layout(card))
    network.load_state_dict(state, strict=True, assign=True)
    return MyAutoencoder(card, network.to(options.device).eval().requires_grad_(False))


def empty() -> Network:
    """Return the network without memory for its weights."""
    with torch.device("meta"):
        return Network()


def layout(card: Card) -> Mapping[str, tuple[int, ...]]:
    """Return name and shape of every tensor in the weights file."""
    return {name: tuple(tensor.shape) for name, tensor in empty().state_dict().items()}


def count_parameters(card: Card) -> int:
    """Return the number of parameters."""
    return sum(parameter.numel() for parameter in empty().parameters())
