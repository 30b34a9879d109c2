"""Cards and weights to models on a device."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from dar_bench.api import Card, GeneratorCard, LoadOptions, Tokenizer, TokenizerCard
from dar_bench.filling import fill, parameter_count, shapes
from dar_bench.nn.llama import Llama
from dar_bench.nn.rotary import rotary_table
from dar_bench.plugins import load_model
from dar_bench.sampling.autoregressive import AutoregressiveGenerator
from dar_bench_dar.model.ar import ar_config, build_ar
from dar_bench_dar.model.config import TokenizerConfig
from dar_bench_dar.model.tokenizer import SequentialDiffusionTokenizer
from dar_bench_dar.sample import DarTokenizer


def load_tokenizer(card: Card, weights: Path, options: LoadOptions) -> DarTokenizer:
    """Return a tokenizer ready for use; ``load`` of the tokenizer cards.

    In bfloat16 the encoder and the codebook stay float32, because codes are discrete: a rounded latent may fall to
    another code.
    """
    if not isinstance(card, TokenizerCard):
        raise TypeError(f"{card.name} is not a tokenizer card")
    config = tokenizer_config(card)
    with torch.device("meta"):
        model = SequentialDiffusionTokenizer(config)
    fill(model, card, weights)
    model.float()
    for part in (model.token_decoder, model.pixel_decoder):
        part.to(getattr(torch, options.dtype))
    model.reset_tables()
    model.to(options.device).eval().requires_grad_(False)
    if options.compile:
        model.pixel_decoder.compile()
    return DarTokenizer(card, model)


def load_generator(card: Card, weights: Path, options: LoadOptions) -> AutoregressiveGenerator:
    """Return a generator with its tokenizer; ``load`` of the generator cards."""
    if not isinstance(card, GeneratorCard):
        raise TypeError(f"{card.name} is not a generator card")
    config = ar_config(card.config)
    rotary = rotary_table(config.num_tokens + 1, config.head_dim)
    with torch.device("meta"):
        network = Llama(config, rotary)
    fill(network, card, weights)
    network.to(options.device, getattr(torch, options.dtype)).eval().requires_grad_(False)
    if options.compile:
        network.compile_step()
    tokenizer = load_model(card.tokenizer, options)
    if not isinstance(tokenizer, Tokenizer):
        raise TypeError(f"{card.tokenizer} is not a tokenizer")
    return AutoregressiveGenerator(card, network, tokenizer, torch.device(options.device))


def tokenizer_config(card: Card) -> TokenizerConfig:
    """Return the sizes of a tokenizer card."""
    return TokenizerConfig(**card.config)


def layout(card: Card) -> dict[str, tuple[int, ...]]:
    """Return name and shape of every tensor of a card's model; ``layout`` of all cards."""
    return shapes(empty(card))


def count_card(card: Card) -> int:
    """Return a card's number of parameters without allocating them; ``count_parameters`` of all cards."""
    return parameter_count(empty(card))


def empty(card: Card) -> nn.Module:
    """Return a card's network on the meta device."""
    with torch.device("meta"):
        if isinstance(card, TokenizerCard):
            return SequentialDiffusionTokenizer(tokenizer_config(card))
        return build_ar(ar_config(card.config))
