"""Frozen networks that the tokenizer's training looks through: perceptual distance and alignment targets.

Each is one object with two uses: ``distance(predicted, image)`` and ``targets(image)``. Images are float
(B, 3, H, W) in [-1, 1].
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dar_bench.errors import UserError
from dar_bench_dar.train.recipes import TokenizerLosses

WITHOUT = "Or train without the term: --set loss.{term}_weight=0 (the run's record says so)."


class PerceptualDistance(Protocol):
    """Distance between a predicted and a real image, 0-d, differentiable in the prediction."""

    def __call__(self, predicted: Tensor, image: Tensor) -> Tensor:
        """Return the mean distance."""
        ...


class AlignmentTarget(Protocol):
    """Frozen features that hidden states are aligned with: (B, grid**2, dim)."""

    grid: int
    dim: int

    def __call__(self, image: Tensor) -> Tensor:
        """Return the features, without gradient."""
        ...


class LpipsVgg:
    """LPIPS with its VGG-16 backbone (Zhang et al., 2018), as published."""

    def __init__(self, device: torch.device):
        try:
            import lpips
        except ImportError as error:
            raise UserError(
                "The perceptual loss needs the package lpips.",
                hint="Install it: pip install 'dar-bench[lpips]'. " + WITHOUT.format(term="perceptual"),
            ) from error
        try:
            self.network = lpips.LPIPS(net="vgg", verbose=False).to(device).eval().requires_grad_(False)
        except Exception as error:  # torch.hub lets through whatever the connection raised
            raise UserError(
                "The VGG-16 weights of the perceptual loss could not be had.",
                why=f"{type(error).__name__}: {error}",
                hint="Connect once, or put torchvision's vgg16-397923af.pth into torch's hub folder. "
                + WITHOUT.format(term="perceptual"),
            ) from error

    def __call__(self, predicted: Tensor, image: Tensor) -> Tensor:
        """Return the mean distance."""
        with torch.autocast(image.device.type, enabled=False):
            return self.network(predicted.float(), image).mean()


class EfficientNetDistance:
    """Squared distance of unit-normalised feature maps, summed over channels, mean over places and stages.

    LPIPS without its learned weights, on the embedded extractor, for training where VGG cannot be had.
    """

    stages = (1, 2, 4)

    def __init__(self, device: torch.device, size: int):
        from dar_bench.features.efficientnet import EfficientNetLite0

        self.extractor = EfficientNetLite0(device=str(device))
        self.size = size

    def __call__(self, predicted: Tensor, image: Tensor) -> Tensor:
        """Return the mean distance."""
        real = [F.normalize(m, dim=1) for m in features(self.extractor, image, self.size, self.stages)]
        guess = [F.normalize(m, dim=1) for m in features(self.extractor, predicted, self.size, self.stages)]
        distances = [(a - b).square().sum(1).mean() for a, b in zip(guess, real, strict=True)]
        return torch.stack(distances).mean()


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
            return features(self.extractor, image, self.size, (4,))[0].flatten(2).transpose(1, 2)


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


def features(extractor: nn.Module, image: Tensor, size: int, stages: tuple[int, ...]) -> list[Tensor]:
    """Return the extractor's stage maps of images resized to ``size`` pixels."""
    if image.shape[-1] != size:
        image = F.interpolate(image, size=(size, size), mode="bilinear", align_corners=False)
    with torch.autocast(image.device.type, enabled=False):  # the targets stay float32 in a bfloat16 training
        return extractor.stage_features(image.float(), stages)


def perceptual_distance(losses: TokenizerLosses, device: torch.device) -> PerceptualDistance | None:
    """Return the recipe's perceptual distance, or ``None`` when its weight is 0."""
    if losses.perceptual_weight == 0 or losses.perceptual == "none":
        return None
    if losses.perceptual == "lpips-vgg":
        return LpipsVgg(device)
    return EfficientNetDistance(device, losses.feature_size)


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
