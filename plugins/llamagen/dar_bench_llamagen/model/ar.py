"""LlamaGen's autoregressive model: the core's decoder with a 2-D rotary table (arXiv 2406.06525, section 2.2)."""

from __future__ import annotations

from dar_bench.errors import UserError
from dar_bench.nn.llama import Llama, LlamaConfig
from dar_bench.nn.rotary import grid_rotary_table


def build_ar(config: LlamaConfig) -> Llama:
    """Return the network with fresh weights; build it under ``torch.device("meta")`` to count parameters.

    Raises:
        UserError: the tokens form no square, or a head does not split into rows and columns.
    """
    side = round(config.num_tokens**0.5)
    if side * side != config.num_tokens:
        raise UserError(
            f"{config.num_tokens} tokens form no square grid.", hint="Take a tokenizer of square images."
        )
    if config.head_dim % 4:
        raise UserError(
            f"Heads of {config.head_dim} channels do not split into rotations by row and by column.",
            hint="Choose a width of 4 channels, or a multiple, for each head.",
        )
    return Llama(config, grid_rotary_table(side, config.head_dim))
