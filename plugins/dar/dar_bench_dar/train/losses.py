"""Frozen networks that hidden states are aligned with. Images are float (B, 3, H, W) in [-1, 1]."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from dar_bench.errors import UserError
from dar_bench.training.perceptual import WITHOUT, stage_maps
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
    """Patch tokens of DINOv2 ViT-B/14 for the image at 224 px, bicubic, ImageNet mean and deviation (as published)."""

    grid = 16
    dim = 768

    def __init__(self, device: torch.device):
        import timm

        try:
            network = timm.create_model("vit_base_patch14_dinov2.lvd142m", pretrained=True, img_size=224)
        except Exception as error:  # the hub client lets through whatever the connection raised
            raise UserError(
                "The DINOv2 weights of the alignment loss could not be had.",
                why=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
                hint="Connect once so that timm can store vit_base_patch14_dinov2.lvd142m. "
                + WITHOUT.format(term="alignment"),
            ) from error
        self.network = network.to(device).eval().requires_grad_(False)
        self.mean = torch.tensor([0.485, 0.456, 0.406], device=device)[:, None, None]
        self.std = torch.tensor([0.229, 0.224, 0.225], device=device)[:, None, None]

    def __call__(self, image: Tensor) -> Tensor:
        """Return the features, without gradient."""
        with torch.no_grad():
            pixels = F.interpolate((image + 1) / 2, size=(224, 224), mode="bicubic", align_corners=False)
            tokens = self.network.forward_features((pixels - self.mean) / self.std)
            return tokens[:, self.network.num_prefix_tokens :]


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
