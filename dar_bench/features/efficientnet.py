"""The embedded extractor ``efficientnet-lite0``: works offline, from packages alone.

Its scores are named after it (``FD[efficientnet-lite0]``) and are not comparable with FID, which is defined
on the pool features of the 2015 Inception network. They serve for comparing models and settings with each
other where that network's weights cannot be had.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional as F

from dar_bench.devices import exact_convolutions
from dar_bench.errors import UserError
from dar_bench.features.base import Features, concatenate
from dar_bench.features.checks import check_images
from dar_bench.features.efficientnet_weights import WEIGHTS_SHA256, check_keys, find_weights, read_weights

INPUT_SIZE = 224
FEATURES = 1280
CLASSES = 1000

# Resizing is done by torch on float values and not by Pillow: it is the same filter (bicubic, a = -0.5,
# support scaled when shrinking), but runs on any device, is neither rounded nor clipped between its two
# passes, and does not change with an image library's version. Overshoot is clamped once at the end, because
# the network never saw values outside 0..255.
PREPROCESSING = "uint8-rgb;stretch-224x224:torch-bicubic-antialias-float32;clamp-0-255;x/127.5-1;float32"

# Channels of stages 0 to 6 (the seven groups of blocks, strides 2, 4, 8, 16, 16, 32, 32) and of 7, the
# feature map after the last convolution (stride 32) whose mean is the pooled feature.
STAGE_CHANNELS = (16, 24, 40, 80, 112, 192, 320, FEATURES)
HEAD_STAGE = len(STAGE_CHANNELS) - 1

# Images in one pass of the network. On a CPU the activations should stay near the cache: 8 or 16 images ran
# at 48 images/s on one core, 32 at 28 and 64 at 22.
CPU_CHUNK = 16
GPU_CHUNK = 256


class EfficientNetLite0:
    """EfficientNet-Lite0 trained on ImageNet: 1280 pooled features and 1000 class probabilities.

    Not an ``nn.Module``, so that a training model which holds one neither trains nor saves it.

    A feature of an image can differ by some 6e-6 (values reach 6) with the number of images in the batch,
    because the convolution library chooses its algorithm by that number; the preprocessing does not depend on
    it at all.

    Args:
        device: torch device string.

    Raises:
        UserError: the weights are not installed or not the published ones.
    """

    name = "efficientnet-lite0"

    def __init__(self, device: str | torch.device = "cpu"):
        self.device = torch.device(device)
        network = fold_batch_norms(load_network()).to(self.device)
        # timm's modules are untyped; the names used here are those of its EfficientNet.
        self.network: Any = network.to(memory_format=torch.channels_last)

    def fingerprint(self) -> str:
        """Return the weights' sha256 and the preprocessing: all that fixes the features."""
        return f"{self.name};sha256={WEIGHTS_SHA256};{PREPROCESSING}"

    def extract(self, images: torch.Tensor) -> Features:
        """Return pooled features and class probabilities of ``images``, uint8 (n, 3, H, W).

        Images of any size are stretched to 224 x 224; nothing is cropped. Runs in float32, without TF32.

        Raises:
            UserError: not uint8, not three channels, or no images.
        """
        check_images(images)
        size = CPU_CHUNK if self.device.type == "cpu" else GPU_CHUNK
        return concatenate([self._extract_chunk(chunk) for chunk in torch.split(images, size)])

    @torch.inference_mode()
    def _extract_chunk(self, images: torch.Tensor) -> Features:
        with exact_convolutions():
            pixels = preprocess(images.to(self.device))
            pooled = self._head(self.network.blocks(self._stem(pixels))).mean(dim=(2, 3))
            logits = F.linear(pooled, self.network.classifier.weight, self.network.classifier.bias)
            probabilities = logits.softmax(dim=1)
        return Features(
            pool=pooled.cpu().numpy(),
            probabilities=probabilities.cpu().numpy(),
            extractor=self.name,
            fingerprint=self.fingerprint(),
        )

    def stage_features(self, images: torch.Tensor, stages: Sequence[int]) -> list[torch.Tensor]:
        """Return feature maps inside the network, differentiable with respect to ``images``.

        Meant for perceptual and alignment losses: nothing is resized, the network is frozen and in
        evaluation mode, and only the stages needed are computed.

        Args:
            images: float32 (B, 3, H, W) in [-1, 1]; any H and W of at least 32.
            stages: which maps, each 0 to 7 (``STAGE_CHANNELS``), in the order in which to return them.

        Returns:
            One (B, C, H / stride, W / stride) tensor for each entry of ``stages``.
        """
        unknown = [stage for stage in stages if not 0 <= stage <= HEAD_STAGE]
        if unknown or not stages:
            raise UserError(
                f"efficientnet-lite0 has no stage {unknown[0] if unknown else '(none given)'}.",
                hint=f"Give stages from 0 to {HEAD_STAGE}.",
            )
        maps: dict[int, torch.Tensor] = {}
        hidden = self._stem(images.to(memory_format=torch.channels_last))
        for stage, blocks in enumerate(self.network.blocks):
            if stage > max(stages):
                break
            hidden = blocks(hidden)
            maps[stage] = hidden
        if HEAD_STAGE in stages:
            maps[HEAD_STAGE] = self._head(hidden)
        return [maps[stage] for stage in stages]

    def _stem(self, pixels: torch.Tensor) -> torch.Tensor:
        return cast(torch.Tensor, self.network.bn1(self.network.conv_stem(pixels)))

    def _head(self, hidden: torch.Tensor) -> torch.Tensor:
        return cast(torch.Tensor, self.network.bn2(self.network.conv_head(hidden)))


def preprocess(images: torch.Tensor) -> torch.Tensor:
    """Turn uint8 images (B, 3, H, W) into the network's input, float32 (B, 3, 224, 224) in [-1, 1]."""
    pixels = images.to(torch.float32)
    if pixels.shape[-2:] != (INPUT_SIZE, INPUT_SIZE):
        pixels = F.interpolate(
            pixels, size=(INPUT_SIZE, INPUT_SIZE), mode="bicubic", align_corners=False, antialias=True
        ).clamp_(0.0, 255.0)
    return (pixels / 127.5 - 1.0).contiguous(memory_format=torch.channels_last)


def load_network() -> nn.Module:
    """Return timm's network with the published weights, frozen and in evaluation mode."""
    import timm

    network: nn.Module = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    weights = read_weights(find_weights())
    check_keys(weights, network.state_dict())
    network.load_state_dict(weights, strict=True)
    return network.eval().requires_grad_(False)


def fold_batch_norms(network: nn.Module) -> nn.Module:
    """Fold every batch norm of an evaluation-mode network into the convolution before it, in place.

    In evaluation mode a batch norm is an affine map per channel, so the convolution can carry it:
    ``w' = w g / sqrt(v + eps)`` and ``b' = beta - m g / sqrt(v + eps)``. The fold is computed in float64, so
    that it costs one rounding per weight. The batch norm's place is taken by its activation.
    """
    for module in list(network.modules()):
        convolution: nn.Conv2d | None = None
        for child_name, child in list(module.named_children()):
            if isinstance(child, nn.Conv2d):
                convolution = child
            elif isinstance(child, nn.BatchNorm2d):
                if convolution is None:
                    raise ValueError(f"batch norm '{child_name}' follows no convolution")
                _fold(convolution, child)
                setattr(module, child_name, getattr(child, "act", nn.Identity()))
                convolution = None
    return network


def _fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    if norm.running_mean is None or norm.running_var is None or convolution.bias is not None:
        raise ValueError("only a convolution without bias and a batch norm with statistics can be folded")
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    bias = norm.bias.double() - norm.running_mean.double() * scale
    weight = convolution.weight.double() * scale[:, None, None, None]
    convolution.weight = nn.Parameter(weight.float(), requires_grad=False)
    convolution.bias = nn.Parameter(bias.float(), requires_grad=False)
