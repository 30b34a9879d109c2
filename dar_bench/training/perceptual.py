"""Frozen networks that losses of image models look through: perceptual distances and their feature maps.

Images are float (B, 3, H, W) in [-1, 1].
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from dar_bench.errors import UserError
from dar_bench.metrics.lpips import load_network

Perceptual = Literal["lpips-vgg", "efficientnet-lite0", "none"]
"""What a recipe may name: LPIPS as published, the embedded extractor in its place, or nothing."""

WITHOUT = "Or train without the term: --set loss.{term}_weight=0 (the run's record says so)."


class PerceptualDistance(Protocol):
    """Distance between a predicted and a real image, 0-d, differentiable in the prediction."""

    def __call__(self, predicted: Tensor, image: Tensor) -> Tensor:
        """Return the mean distance."""
        ...


class LpipsVgg:
    """LPIPS with its VGG-16 backbone (Zhang et al., 2018), as published."""

    def __init__(self, device: torch.device):
        try:
            _, self.network = load_network("vgg", str(device), fetch=True)
        except UserError as error:
            hints = (error.hint, WITHOUT.format(term="perceptual"))
            raise UserError(
                "The perceptual loss cannot be had. " + error.what,
                why=error.why,
                hint=" ".join(hint for hint in hints if hint),
            ) from error

    def __call__(self, predicted: Tensor, image: Tensor) -> Tensor:
        """Return the mean distance."""
        with torch.autocast(image.device.type, enabled=False):
            distance: Tensor = self.network(predicted.float(), image).mean()
        return distance


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
        real = [F.normalize(m, dim=1) for m in stage_maps(self.extractor, image, self.size, self.stages)]
        guess = [F.normalize(m, dim=1) for m in stage_maps(self.extractor, predicted, self.size, self.stages)]
        distances = [(a - b).square().sum(1).mean() for a, b in zip(guess, real, strict=True)]
        return torch.stack(distances).mean()


def stage_maps(extractor: Any, image: Tensor, size: int, stages: tuple[int, ...]) -> list[Tensor]:
    """Return the stage maps of ``EfficientNetLite0`` of images resized to ``size`` pixels."""
    if image.shape[-1] != size:
        image = F.interpolate(image, size=(size, size), mode="bilinear", align_corners=False)
    with torch.autocast(image.device.type, enabled=False):  # the targets stay float32 in a bfloat16 training
        maps: list[Tensor] = extractor.stage_features(image.float(), stages)
    return maps


class PerceptualTerm(Protocol):
    """What a recipe says of the term."""

    @property
    def perceptual(self) -> Perceptual:
        """Which distance."""
        ...

    @property
    def perceptual_weight(self) -> float:
        """Its share of the loss; 0 needs no network."""
        ...

    @property
    def feature_size(self) -> int:
        """Pixels to which images are resized for ``efficientnet-lite0``."""
        ...


def perceptual_distance(term: PerceptualTerm, device: torch.device) -> PerceptualDistance | None:
    """Return the perceptual distance that a recipe names, or ``None`` when its weight is 0.

    Raises:
        UserError: the network's package or weights are not to be had; the message says how to train without.
    """
    if term.perceptual_weight == 0 or term.perceptual == "none":
        return None
    if term.perceptual == "lpips-vgg":
        return LpipsVgg(device)
    return EfficientNetDistance(device, term.feature_size)
