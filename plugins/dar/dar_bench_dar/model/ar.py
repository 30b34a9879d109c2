"""D-AR's autoregressive model: a plain Llama over the tokenizer's codes (paper section 3.2).

The network is the core's decoder with a 1-D rotary table, position 0 being the class; its parameter names are
the published ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import torch

from dar_bench.errors import UserError, suggest, unknown_name
from dar_bench.nn.llama import Llama, LlamaConfig
from dar_bench.nn.rotary import rotary_table


def _imagenet(layers: int, heads: int, dim: int) -> LlamaConfig:
    return LlamaConfig(
        layers=layers, heads=heads, dim=dim, codebook_size=16384, num_tokens=256, num_classes=1000
    )


# Sizes by name; the published ones with their exact number of parameters.
PRESETS: Mapping[str, LlamaConfig] = {
    "b": _imagenet(12, 12, 768),  # 110,888,448
    "l": _imagenet(24, 16, 1024),  # 342,910,976
    "xl": _imagenet(36, 20, 1280),  # 774,699,520
    "tiny": LlamaConfig(layers=6, heads=2, dim=128, codebook_size=1024, num_tokens=64, num_classes=9),
}


def ar_config(values: Mapping[str, Any]) -> LlamaConfig:
    """Build a configuration from the mapping of a card, a recipe or a file.

    Args:
        values: fields of ``LlamaConfig``; ``preset`` names the sizes to start from.

    Raises:
        UserError: an unknown preset or field, a missing field, or sizes that do not fit together.
    """
    given = dict(values)
    preset = given.pop("preset", None)
    if preset is not None and preset not in PRESETS:
        raise unknown_name("size of the autoregressive model", str(preset), PRESETS)
    known = [field.name for field in fields(LlamaConfig)]
    for name in given:
        if name not in known:
            raise UserError(
                f"Unknown size '{name}' of the autoregressive model.",
                why=suggest(name, known),
                hint=f"Known: {', '.join(known)}.",
            )
    if preset is not None:
        return replace(PRESETS[preset], **given)
    required = ("layers", "heads", "dim", "codebook_size", "num_tokens", "num_classes")
    missing = [name for name in required if name not in given]
    if missing:
        raise UserError(
            f"The autoregressive model lacks sizes: {', '.join(missing)}.",
            hint=f"Give them, or a preset: {', '.join(PRESETS)}.",
        )
    return LlamaConfig(**given)


def build_ar(config: LlamaConfig) -> Llama:
    """Return the network with fresh weights; build it under ``torch.device("meta")`` to count parameters."""
    # One row more than sampling reads, so that a full sequence can be scored too.
    return Llama(config, rotary_table(config.num_tokens + 1, config.head_dim))


def count_ar_parameters(config: LlamaConfig) -> int:
    """Return the number of parameters of a configuration without allocating them."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build_ar(config).parameters())
