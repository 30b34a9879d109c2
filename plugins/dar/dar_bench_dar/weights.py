"""Published D-AR checkpoints to our layout: every key is accounted for, nothing is skipped in silence.

The tensors keep their meaning; 1x1 convolutions become the matrices they are, and module paths change:
see ``dar_bench_dar.model`` for our names and the table below for the published ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from dar_bench.errors import UserError

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


def state_dict_of(checkpoint: Mapping[str, Any], *keys: str) -> Mapping[str, Tensor]:
    """Return the state dict inside a checkpoint: under the first of ``keys`` present, or the whole.

    Raises:
        UserError: the object holds no tensors.
    """
    inner: Any = next((checkpoint[key] for key in keys if checkpoint.get(key)), checkpoint)
    if not isinstance(inner, Mapping) or not any(isinstance(value, Tensor) for value in inner.values()):
        raise UserError(
            "This file is no D-AR checkpoint: it holds no named tensors.",
            why=f"Its top level has {', '.join(sorted(map(str, checkpoint))[:6]) or 'nothing'}.",
            hint="Give the published .pt file, or a .safetensors file of the same names.",
        )
    return inner


def convert_tokenizer(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Convert the published tokenizer file, its EMA weights where it has them (they made the numbers)."""
    converted: dict[str, Tensor] = {}
    unknown = []
    for key, value in state_dict_of(checkpoint, "ema", "model").items():
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
    refuse_unknown(unknown, "tokenizer")
    return converted


def convert_ar(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Convert a published AR file: our names are the published ones without torch.compile's prefix."""
    state = state_dict_of(checkpoint, "model")
    converted = {key.removeprefix("_orig_mod."): value.contiguous() for key, value in state.items()}
    known = ("cls_embedding.", "tok_embeddings.", "layers.", "norm.", "output.")
    refuse_unknown([key for key in converted if not key.startswith(known)], "autoregressive model")
    return converted


def refuse_unknown(keys: list[str], what: str) -> None:
    """Stop at keys that no published D-AR file has.

    Raises:
        UserError: ``keys`` is not empty.
    """
    if keys:
        raise UserError(
            f"This checkpoint is not a D-AR {what}: {len(keys)} unknown keys, such as {', '.join(keys[:3])}.",
            hint="Check that the file belongs to the model you named.",
        )
