"""Published names to timm's for the vision transformers, and the layout that their files are checked against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dar_bench.api import Card
from dar_bench.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor, nn

_VISUAL = "visual."

# Beginnings of a CLIP checkpoint's other half, and numbers that its archive carries beside the tensors.
_TEXT = ("transformer.", "token_embedding.", "positional_embedding", "ln_final.", "text_projection")
_NUMBERS = ("logit_scale", "input_resolution", "context_length", "vocab_size")

_TOP = {
    "class_embedding": "cls_token",
    "positional_embedding": "pos_embed",
    "conv1.weight": "patch_embed.proj.weight",
    "ln_pre.weight": "norm_pre.weight",
    "ln_pre.bias": "norm_pre.bias",
    "ln_post.weight": "norm.weight",
    "ln_post.bias": "norm.bias",
    "proj": "head.weight",
}
_BLOCK = {
    "ln_1": "norm1",
    "ln_2": "norm2",
    "attn.in_proj_": "attn.qkv.",
    "attn.out_proj": "attn.proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}


def build(card: Card, *, grid: int | None = None) -> nn.Module:
    """Return timm's network of a card without memory for its weights.

    Args:
        grid: patches per side that the position embeddings are for; the input size's own without.
    """
    import timm
    import torch

    size = card.config["size"] if grid is None else grid * card.config["patch"]
    with torch.device("meta"):
        network: nn.Module = timm.create_model(
            card.config["architecture"], pretrained=False, img_size=size, **card.config["overrides"]
        )
    return network


def layout(card: Card) -> dict[str, tuple[int, ...]]:
    """Return name and shape of every tensor in the card's safetensors file."""
    network = build(card, grid=card.config["stored_grid"])
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


def convert_dinov2(checkpoint: Any) -> dict[str, Tensor]:
    """Return the tensors of a published DINOv2 backbone: timm's names are the same, the mask token is for training."""
    state = _tensors(checkpoint, "DINOv2")
    return {name: value.float() for name, value in state.items() if name != "mask_token"}


def convert_clip(checkpoint: Any) -> dict[str, Tensor]:
    """Return the image half of a published CLIP model under timm's names, in float32.

    The files hold half-precision numbers, which float32 holds exactly. timm's projection has a bias, here 0.

    Raises:
        UserError: a tensor that belongs to neither half.
    """
    import torch

    state = _tensors(checkpoint, "CLIP")
    found: dict[str, Tensor] = {}
    unknown = []
    for name, value in state.items():
        if name.startswith(_VISUAL):
            inner = name.removeprefix(_VISUAL)
            timm_name = _TOP.get(inner) or _block_name(inner)
            if timm_name:
                found[timm_name] = value.float()
                continue
        if not name.startswith(_TEXT) and name not in _NUMBERS:
            unknown.append(name)
    if unknown:
        raise UserError(
            f"This checkpoint is not a CLIP model: {len(unknown)} unknown keys, such as "
            f"{', '.join(unknown[:3])}.",
            hint="Check that the file belongs to the extractor you named.",
        )
    if "cls_token" in found and "pos_embed" in found and "head.weight" in found:
        found["cls_token"] = found["cls_token"].reshape(1, 1, -1)
        found["pos_embed"] = found["pos_embed"].unsqueeze(0)
        found["head.weight"] = found["head.weight"].T.contiguous()
        found["head.bias"] = torch.zeros(len(found["head.weight"]))
    return found


def resample_positions(stored: Tensor, grid: int) -> Tensor:
    """Return DINOv2's position embeddings for ``grid`` patches per side, (1, 1 + grid^2, C).

    As its published code does: plain bicubic interpolation by the factor (grid + 0.1) / stored grid. The 0.1
    was meant against a rounding error; it shifts every sampling point, so it is part of the features. Other
    implementations interpolate by the exact factor, with a filter against aliasing, and get others.
    """
    import torch
    from torch.nn import functional as F

    start, patches = stored[:, :1], stored[:, 1:]
    side = round(patches.shape[1] ** 0.5)
    if side == grid:
        return stored
    square = patches.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    factor = (grid + 0.1) / side
    resized = F.interpolate(square, scale_factor=(factor, factor), mode="bicubic")
    if resized.shape[-2:] != (grid, grid):
        raise ValueError(f"{side} positions per side became {tuple(resized.shape[-2:])}, not {grid}")
    return torch.cat([start, resized.flatten(2).transpose(1, 2)], dim=1)


def _block_name(name: str) -> str:
    prefix = "transformer.resblocks."
    if not name.startswith(prefix):
        return ""
    number, _, rest = name.removeprefix(prefix).partition(".")
    for theirs, ours in _BLOCK.items():
        if rest.startswith(theirs):
            return f"blocks.{number}.{ours}{rest.removeprefix(theirs)}"
    return ""


def _tensors(checkpoint: Any, what: str) -> dict[str, Tensor]:
    import torch

    if isinstance(checkpoint, Mapping) and checkpoint:
        state = {str(name): value for name, value in checkpoint.items() if isinstance(value, torch.Tensor)}
        if len(state) == len(checkpoint):
            return state
    raise UserError(
        f"This file holds no {what} model.",
        why=f"It holds a {type(checkpoint).__name__}, not names with tensors.",
        hint="Check that the file belongs to the extractor you named.",
    )
