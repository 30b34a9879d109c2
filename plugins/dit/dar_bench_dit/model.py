"""DiT's network in its published sizes: the core's diffusion transformer that predicts noise and variance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dar_bench.nn.diffusion_transformer import DiffusionTransformerConfig

SIZES: Mapping[str, Mapping[str, int]] = {  # width, depth and heads of the paper's Table 1
    "s": {"width": 384, "depth": 12, "heads": 6},
    "b": {"width": 768, "depth": 12, "heads": 12},
    "l": {"width": 1024, "depth": 24, "heads": 16},
    "xl": {"width": 1152, "depth": 28, "heads": 16},
}


def dit_config(sizes: Mapping[str, Any]) -> DiffusionTransformerConfig:
    """Return the network's sizes of a card or recipe: ``size`` names a row of ``SIZES``, other keys are its fields.

    The output holds noise and variance, so it has twice the input's channels. ``pixel_scale`` is the sampler's.
    """
    own = {key: value for key, value in sizes.items() if key != "pixel_scale"}
    preset = SIZES[own.pop("size")] if "size" in own else {}
    channels = own.get("channels", 4)
    return DiffusionTransformerConfig(**{**preset, **own, "channels": channels, "out_channels": 2 * channels})
