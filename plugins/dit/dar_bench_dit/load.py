"""Cards and weights to generators on a device."""

from __future__ import annotations

from pathlib import Path

import torch

from dar_bench.api import Autoencoder, Card, GeneratorCard, LoadOptions
from dar_bench.filling import fill, parameter_count, shapes
from dar_bench.nn.diffusion_transformer import DiffusionTransformer
from dar_bench.plugins import load_model
from dar_bench_dit.model import dit_config
from dar_bench_dit.sample import DitGenerator


def load_generator(card: Card, weights: Path, options: LoadOptions) -> DitGenerator:
    """Return a generator with its autoencoder, where it makes latents; ``load`` of the cards."""
    if not isinstance(card, GeneratorCard):
        raise TypeError(f"{card.name} is not a generator card")
    network = empty(card)
    fill(network, card, weights)
    network.to(options.device, getattr(torch, options.dtype)).eval().requires_grad_(False)
    if options.compile:
        network.compile()
    autoencoder = load_model(card.autoencoder, options) if card.autoencoder else None
    if autoencoder is not None and not isinstance(autoencoder, Autoencoder):
        raise TypeError(f"{card.autoencoder} is not an autoencoder")
    return DitGenerator(card, network, autoencoder)


def layout(card: Card) -> dict[str, tuple[int, ...]]:
    """Return name and shape of every tensor of a card's model; ``layout`` of all cards."""
    return shapes(empty(card))


def count_card(card: Card) -> int:
    """Return a card's number of parameters without allocating them; ``count_parameters`` of all cards."""
    return parameter_count(empty(card))


def empty(card: Card) -> DiffusionTransformer:
    """Return a card's network on the meta device."""
    with torch.device("meta"):
        return DiffusionTransformer(dit_config(card.config))
