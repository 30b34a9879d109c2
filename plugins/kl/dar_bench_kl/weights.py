"""Published autoencoder files (the diffusers layout) to ours: every key is accounted for.

Attention matrices become the 1x1 convolutions of ``dar_bench.nn.conv_blocks``; their names differ between files
written before and after diffusers 0.15, and both are read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from dar_bench.checkpoints import refuse_unknown, state_dict_of

_PLACES = (  # published pattern, ours; the first that matches counts
    (r"(encoder|decoder)\.(?:down|up)_blocks\.(\d+)\.resnets\.(\d+)\.", r"\1.conv_blocks.\2.res.\3."),
    (r"(encoder|decoder)\.(?:down|up)_blocks\.(\d+)\.attentions\.(\d+)\.", r"\1.conv_blocks.\2.attn.\3."),
    (r"encoder\.down_blocks\.(\d+)\.downsamplers\.0\.", r"encoder.conv_blocks.\1.downsample."),
    (r"decoder\.up_blocks\.(\d+)\.upsamplers\.0\.", r"decoder.conv_blocks.\1.upsample."),
    (r"(encoder|decoder)\.mid_block\.resnets\.0\.", r"\1.mid.0."),
    (r"(encoder|decoder)\.mid_block\.attentions\.0\.", r"\1.mid.1."),
    (r"(encoder|decoder)\.mid_block\.resnets\.1\.", r"\1.mid.2."),
    (r"(encoder|decoder)\.conv_norm_out\.", r"\1.norm_out."),
    (r"((?:encoder|decoder)\.conv_(?:in|out))\.", r"\1."),
    (r"(quant_conv|post_quant_conv)\.", r"\1."),
)
_PARTS = {
    "conv_shortcut": "nin_shortcut",
    "group_norm": "norm",
    "to_q": "q",
    "query": "q",
    "to_k": "k",
    "key": "k",
    "to_v": "v",
    "value": "v",
    "to_out.0": "proj_out",
    "proj_attn": "proj_out",
}
_MATRICES = ("q", "k", "v", "proj_out")


def convert(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Convert a published ``AutoencoderKL`` file.

    Raises:
        UserError: keys that no such file has.
    """
    converted: dict[str, Tensor] = {}
    unknown = []
    for key, value in state_dict_of(checkpoint, "KL autoencoder", "state_dict").items():
        ours = _renamed(key)
        if ours is None:
            unknown.append(key)
            continue
        matrix = ours.endswith(".weight") and ours.split(".")[-2] in _MATRICES and value.ndim == 2
        converted[ours] = (value[:, :, None, None] if matrix else value).contiguous()
    refuse_unknown(unknown, "KL autoencoder")
    return converted


def _renamed(key: str) -> str | None:
    for pattern, replacement in _PLACES:
        match = re.match(pattern, key)
        if match:
            part, _, kind = key[match.end() :].rpartition(".")
            return f"{match.expand(replacement)}{_PARTS.get(part, part)}{'.' if part else ''}{kind}"
    return None
