"""Frozen networks that hidden states are aligned with. Images are float (B, 3, H, W) in [-1, 1]."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from dar_bench.api import Card
from dar_bench.errors import UserError
from dar_bench.features.vit_cards import VIT_CARDS
from dar_bench.features.vit_weights import build
from dar_bench.training.perceptual import WITHOUT, stage_maps
from dar_bench.weights import ensure
from dar_bench_dar.train.recipes import TokenizerLosses


class AlignmentTarget(Protocol):
    """Frozen features that hidden states are aligned with: (B, grid**2, dim)."""

    grid: int
    dim: int

    def __call__(self, image: Tensor) -> Tensor:
        """Return the features, without gradient."""
        ...


class EfficientNetTarget:
    """Stage 4 of the embedded extractor (stride 16, 112 channels)."""

    dim = 112

    def __init__(self, device: torch.device, size: int):
        from dar_bench.features.efficientnet import EfficientNetLite0

        self.extractor = EfficientNetLite0(device=str(device))
        self.size = size
        self.grid = size // 16

    def __call__(self, image: Tensor) -> Tensor:
        """Return the features, without gradient."""
        with torch.no_grad():
            return stage_maps(self.extractor, image, self.size, (4,))[0].flatten(2).transpose(1, 2)


class DinoTarget:
    """Patch tokens of DINOv2 ViT-B/14 for the image at 224 px, bicubic, ImageNet mean and deviation (as published).

    Args:
        device: where the network goes.
        card: the network; its weights are fetched into the store where they are not on this machine.

    Raises:
        UserError: the weights cannot be had; says how to bring them, and how to train without.
    """

    grid = 16
    dim = 768

    def __init__(self, device: torch.device, card: Card = VIT_CARDS["dinov2-vitb14"]):
        try:
            path = ensure(card)
        except UserError as error:
            hints = (error.hint, WITHOUT.format(term="alignment"))
            raise UserError(
                "The alignment loss cannot be had. " + error.what,
                why=error.why,
                hint=" ".join(hint for hint in hints if hint),
            ) from error
        self.network = patch_network(card, path, self.grid).to(device).eval().requires_grad_(False)
        self.mean, self.std = (
            torch.tensor(card.config[key], device=device)[:, None, None] for key in ("mean", "std")
        )

    def __call__(self, image: Tensor) -> Tensor:
        """Return the features, without gradient."""
        with torch.no_grad():
            pixels = F.interpolate((image + 1) / 2, size=(224, 224), mode="bicubic", align_corners=False)
            tokens = self.network.forward_features((pixels - self.mean) / self.std)
            return tokens[:, self.network.num_prefix_tokens :]


def patch_network(card: Card, path: Path, grid: int) -> Any:
    """Return timm's network with a file's weights and position embeddings for ``grid`` patches per side.

    The embeddings are resampled as representation alignment (Yu et al. 2024) does it, by timm's bicubic filter
    against aliasing; an FD-DINOv2 wants another rule (``resample_positions``).
    """
    from safetensors.torch import load_file
    from timm.layers import resample_abs_pos_embed

    network: Any = build(card, grid=grid)
    state = load_file(path)
    state["pos_embed"] = resample_abs_pos_embed(
        state["pos_embed"], [grid, grid], num_prefix_tokens=network.num_prefix_tokens
    )
    network.load_state_dict(state, strict=True, assign=True)
    return network


def alignment_dim(losses: TokenizerLosses) -> int:
    """Return the width of the alignment target, 0 when there is none."""
    if losses.alignment_weight == 0 or losses.alignment == "none":
        return 0
    return DinoTarget.dim if losses.alignment == "dinov2-vitb14" else EfficientNetTarget.dim


def alignment_target(losses: TokenizerLosses, device: torch.device) -> AlignmentTarget | None:
    """Return the recipe's alignment target, or ``None`` when its weight is 0."""
    if alignment_dim(losses) == 0:
        return None
    return (
        DinoTarget(device)
        if losses.alignment == "dinov2-vitb14"
        else EfficientNetTarget(device, losses.feature_size)
    )
