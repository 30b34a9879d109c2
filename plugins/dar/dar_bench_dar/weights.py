"""Published D-AR checkpoints to our layout: every key is accounted for, nothing is skipped in silence.

The tensors keep their meaning; 1x1 convolutions become the matrices they are, and module paths change:
see ``dar_bench_dar.model`` for our names and the table below for the published ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from dar_bench.checkpoints import convert_llama, refuse_unknown, state_dict_of

TOKENIZER_PREFIXES = (  # published prefix, ours; the first that matches counts
    ("patchify.", "encoder.patchify."),
    ("query_embedding.", "encoder.query_embedding."),
    ("query_linear.", "encoder.query_linear."),
    ("encoder_layers.", "encoder.layers."),
    ("quant_in_conv.", "encoder.to_code."),
    ("quantize.embedding.", "quantize.embedding."),
    ("quant_out_conv.", "token_decoder.from_code."),
    ("decoder_embedding.", "token_decoder.positions."),
    ("decoder_layers.", "token_decoder.layers."),
    ("diff_decoder.net.", "pixel_decoder."),
)
POINTWISE = ("quant_in_conv.weight", "quant_out_conv.weight", "net.conv_in.weight", "net.conv_out.weight")
DROPPED = ("quantize.codebook_used",)  # usage statistics of the training run, no weight
TRAINING_HEAD = "diff_decoder.net.repa_out."  # exists for the alignment loss alone


def convert_tokenizer(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Convert the published tokenizer file, its EMA weights where it has them (they made the numbers)."""
    converted: dict[str, Tensor] = {}
    unknown = []
    for key, value in state_dict_of(checkpoint, "D-AR", "ema", "model").items():
        key = key.removeprefix("_orig_mod.")
        if key in DROPPED or key.startswith(TRAINING_HEAD):
            continue
        ours = next((new + key[len(old) :] for old, new in TOKENIZER_PREFIXES if key.startswith(old)), None)
        if ours is None:
            unknown.append(key)
            continue
        if key.endswith(POINTWISE) and value.ndim == 4:
            value = value[:, :, 0, 0]
        converted[ours] = value.contiguous()
    refuse_unknown(unknown, "D-AR tokenizer")
    return converted


def convert_ar(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Convert a published AR file: our names are the published ones without torch.compile's prefix."""
    return convert_llama(state_dict_of(checkpoint, "D-AR", "model"), "D-AR autoregressive model")
