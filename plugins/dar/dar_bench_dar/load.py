"""Cards and weights to models on a device."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from dar_bench.api import Card, GeneratorCard, LoadOptions, Tokenizer, TokenizerCard
from dar_bench.errors import UserError
from dar_bench.nn.llama import Llama, LlamaConfig
from dar_bench.nn.rotary import rotary_table
from dar_bench.plugins import load_model
from dar_bench.sampling.autoregressive import AutoregressiveGenerator
from dar_bench_dar.model.ar import ar_config, build_ar
from dar_bench_dar.model.config import TokenizerConfig
from dar_bench_dar.model.tokenizer import SequentialDiffusionTokenizer, count_parameters
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


def fill(model: nn.Module, card: Card, weights: Path) -> None:
    """Put the tensors of a safetensors file into a model built on the meta device, strictly.

    Raises:
        UserError: the file cannot be read, or its names or shapes are not the model's.
    """
    try:
        tensors = load_file(weights)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"Cannot read the weights of '{card.name}' from {weights}.",
            why=str(error),
            hint=f"Fetch or import them again: dar-bench weights fetch {card.name}",
        ) from error
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if wanted != found:
        wrong = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        first = wrong[0]
        raise UserError(
            f"The weights in {weights} do not fit '{card.name}': {len(wrong)} tensors differ.",
            why=f"'{first}' is {found.get(first, 'missing')} in the file, {wanted.get(first, 'absent')} in the model.",
            hint="Give the weights of this model, or the export folder of a training run in place of the name.",
        )
    model.load_state_dict(tensors, strict=True, assign=True)


def count_tokenizer_card(card: Card) -> int:
    """Return the tokenizer's number of parameters without allocating them."""
    return count_parameters(tokenizer_config(card))


def count_ar_card(card: Card) -> int:
    """Return the autoregressive model's number of parameters without allocating them."""
    return count_ar(ar_config(card.config))


def count_ar(config: LlamaConfig) -> int:
    """Return the number of parameters of an autoregressive configuration."""
    with torch.device("meta"):
        return sum(p.numel() for p in build_ar(config).parameters())
