"""Published DiT checkpoints to our layout: the names are the same, and every key is accounted for by the layout.

A published file is the averaged state dict itself; a file of the published training script holds it under ``ema``.
The table of places comes from the file, as in the original, which stores it beside what was trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from dar_bench.checkpoints import refuse_unknown, state_dict_of

KNOWN = ("pos_embed", "x_embedder.", "t_embedder.", "y_embedder.", "blocks.", "final_layer.")


def convert(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Convert a published file or one of the published training script, its averaged weights where it has both.

    Raises:
        UserError: keys that no such file has.
    """
    state = state_dict_of(checkpoint, "DiT", "ema", "model")
    refuse_unknown([key for key in state if not key.startswith(KNOWN)], "DiT")
    return {key: value.contiguous() for key, value in state.items()}
