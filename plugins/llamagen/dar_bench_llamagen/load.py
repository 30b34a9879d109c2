"""Cards and weights to models on a device."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from dar_bench.api import Card, GeneratorCard, LoadOptions, Tokenizer, TokenizerCard
from dar_bench.filling import fill, parameter_count, shapes
from dar_bench.nn.llama import LlamaConfig
from dar_bench.plugins import load_model
from dar_bench.sampling.autoregressive import AutoregressiveGenerator
from dar_bench_llamagen.model.ar import build_ar
from dar_bench_llamagen.model.tokenizer import TokenizerConfig, VQTokenizer
from dar_bench_llamagen.sample import LlamaGenTokenizer


def load_tokenizer(card: Card, weights: Path, options: LoadOptions) -> LlamaGenTokenizer:
    """Return a tokenizer ready for use; ``load`` of the tokenizer cards.

    It computes in float32 whatever ``options.dtype`` says: codes are discrete, and the published evaluation decodes in
    float32 beside a bfloat16 transformer.
    """
    if not isinstance(card, TokenizerCard):
        raise TypeError(f"{card.name} is not a tokenizer card")
    with torch.device("meta"):
        model = VQTokenizer(TokenizerConfig(**card.config))
    fill(model, card, weights)
    model.to(options.device, torch.float32).eval().requires_grad_(False)
    if options.compile:
        model.decoder.compile()
    return LlamaGenTokenizer(card, model)


def load_generator(card: Card, weights: Path, options: LoadOptions) -> AutoregressiveGenerator:
    """Return a generator with its tokenizer; ``load`` of the generator cards.

    Where the card's images are smaller than what the tokenizer paints (384 px to 256), they are resized.
    """
    if not isinstance(card, GeneratorCard):
        raise TypeError(f"{card.name} is not a generator card")
    with torch.device("meta"):
        network = build_ar(LlamaConfig(**card.config))
    fill(network, card, weights)
    network.to(options.device, getattr(torch, options.dtype)).eval().requires_grad_(False)
    if options.compile:
        network.compile_step()
    tokenizer = load_model(card.tokenizer, options)
    if not isinstance(tokenizer, Tokenizer):
        raise TypeError(f"{card.tokenizer} is not a tokenizer")
    if isinstance(tokenizer, LlamaGenTokenizer) and tokenizer.size != card.image_size:
        tokenizer = LlamaGenTokenizer(tokenizer.card, tokenizer.model, card.image_size)
    return AutoregressiveGenerator(card, network, tokenizer, torch.device(options.device))


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
            return VQTokenizer(TokenizerConfig(**card.config))
        return build_ar(LlamaConfig(**card.config))
