"""Published LlamaGen checkpoints to our layout: every key is accounted for, nothing is skipped in silence.

Our names are the published ones; only what is no weight goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from dar_bench.checkpoints import convert_llama, refuse_unknown, state_dict_of

TOKENIZER_PARTS = ("encoder.", "decoder.", "quantize.embedding.", "quant_conv.", "post_quant_conv.")
DROPPED = ("quantize.codebook_used",)  # which codes the training used last, no weight


def convert_tokenizer(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Convert a published tokenizer file, its averaged weights where it has them, as the published evaluation does."""
    state = state_dict_of(checkpoint, "LlamaGen", "ema", "model", "state_dict")
    named = {key.removeprefix("_orig_mod."): value.contiguous() for key, value in state.items()}
    converted = {key: value for key, value in named.items() if key not in DROPPED}
    refuse_unknown([key for key in converted if not key.startswith(TOKENIZER_PARTS)], "LlamaGen tokenizer")
    return converted


def convert_ar(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Convert a published generator file: a training's file (DDP, DeepSpeed), or the bare weights (XXL, 3B)."""
    state = state_dict_of(checkpoint, "LlamaGen", "model", "module", "state_dict")
    return convert_llama(state, "LlamaGen autoregressive model")
