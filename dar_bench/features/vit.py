"""Extractors on vision transformers: DINOv2 and CLIP, with the preprocessing that their scores were published with.

    dinov2-vitl14     FD-DINOv2 (Stein et al. 2023): Pillow bicubic to 224 x 224, class token after the last norm
    dinov2-vitb14     the same for the smaller network, which D-AR's alignment loss looks through
    clip-vitl14-336   CMMD (Jayasumana et al. 2024): float bicubic to 336 x 336, embedding of unit length
    clip-vitb32       FD-CLIP (Kynkaanniemi et al. 2023): Pillow bicubic to 224 and centre crop, embedding

Their weights come through the weight store: ``dar-bench weights fetch dinov2-vitl14``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from dar_bench.api import Card
from dar_bench.devices import exact_convolutions
from dar_bench.features.base import Features, concatenate
from dar_bench.features.checks import check_images
from dar_bench.features.vit_cards import VIT_CARDS
from dar_bench.features.vit_weights import build, resample_positions
from dar_bench.metrics.gaussian_kernel import unit_length
from dar_bench.weights import provenance, weights_path

CPU_CHUNK = 8
GPU_CHUNK = 128


class VitExtractor:
    """Image embeddings of a vision transformer, float32; no class probabilities.

    Args:
        card: which one; its ``config`` is explained at ``VIT_CARDS``.
        device: torch device string.

    Raises:
        UserError: the weights are not in the store; says how to get them.
    """

    def __init__(self, card: Card, device: str | torch.device = "cpu"):
        from safetensors.torch import load_file

        self.name = card.name
        self.device = torch.device(device)
        self._config = card.config
        path = weights_path(card)
        state = load_file(path)
        network = build(card)
        if card.config["stored_grid"] is not None:
            patches = network.state_dict()["pos_embed"].shape[1] - 1
            state["pos_embed"] = resample_positions(state["pos_embed"], round(patches**0.5))
        network.load_state_dict(state, strict=True, assign=True)
        self.network: Any = network.eval().requires_grad_(False).to(self.device)
        recorded = provenance(card) or {}
        self._sha256 = str(recorded.get("sha256", ""))
        self.published = _is_published(card, recorded)

    def fingerprint(self) -> str:
        """Return the weights' sha256 and the preprocessing: all that fixes the features."""
        config = self._config
        end = "unit-length" if config["unit"] else "as-it-is"
        mean = ",".join(f"{value:g}" for value in config["mean"])
        return (
            f"{self.name};sha256={self._sha256};{config['resize']}-{config['size']};mean={mean};float32;{end}"
        )

    def extract(self, images: torch.Tensor) -> Features:
        """Return the embeddings of ``images``, uint8 (n, 3, H, W) of any size, without TF32.

        Raises:
            UserError: not uint8, not three channels, or no images.
        """
        check_images(images)
        size = CPU_CHUNK if self.device.type == "cpu" else GPU_CHUNK
        return concatenate([self._extract_chunk(chunk) for chunk in torch.split(images, size)])

    def preprocess(self, images: torch.Tensor) -> torch.Tensor:
        """Return the network's input, float32 (n, 3, size, size), normalised, on the extractor's device."""
        pixels = _RESIZES[self._config["resize"]](images, self._config["size"]).to(self.device)
        mean, std = (
            torch.tensor(self._config[key], device=self.device).view(1, 3, 1, 1) for key in ("mean", "std")
        )
        return (pixels - mean) / std

    @torch.inference_mode()
    def _extract_chunk(self, images: torch.Tensor) -> Features:
        with exact_convolutions():
            embeddings = self.network(self.preprocess(images)).cpu().numpy()
        return Features(
            pool=unit_length(embeddings) if self._config["unit"] else embeddings,
            probabilities=None,
            extractor=self.name,
            fingerprint=self.fingerprint(),
        )


def pil_bicubic_stretch(images: torch.Tensor, size: int) -> torch.Tensor:
    """Return images stretched to a square by Pillow's bicubic filter on bytes, float32 in [0, 1]."""
    squares = [_pil_resize(image, (size, size)) for image in images]
    return torch.stack(squares).float() / 255


def pil_bicubic_crop(images: torch.Tensor, size: int) -> torch.Tensor:
    """Return images with their short side brought to ``size`` by Pillow, and the centre square of that, in [0, 1]."""
    height, width = images.shape[-2:]
    short = min(height, width)
    target = (int(size * height / short), int(size * width / short))
    top, left = round((target[0] - size) / 2), round((target[1] - size) / 2)
    squares = [_pil_resize(image, target)[:, top : top + size, left : left + size] for image in images]
    return torch.stack(squares).float() / 255


def float_bicubic_stretch(images: torch.Tensor, size: int) -> torch.Tensor:
    """Return images stretched to a square in float: bicubic (a = -0.5), widened when shrinking, not clamped."""
    return F.interpolate(
        images.float() / 255, size=(size, size), mode="bicubic", align_corners=False, antialias=True
    )


_RESIZES: dict[str, Callable[[torch.Tensor, int], torch.Tensor]] = {
    "pil-bicubic-stretch": pil_bicubic_stretch,
    "pil-bicubic-crop": pil_bicubic_crop,
    "float-bicubic-stretch": float_bicubic_stretch,
}


def _pil_resize(image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Return an image, uint8 (3, H, W), at another size (height, width)."""
    picture = Image.fromarray(image.cpu().permute(1, 2, 0).contiguous().numpy())
    resized = picture.resize((size[1], size[0]), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(resized)).permute(2, 0, 1)


def _is_published(card: Card, recorded: dict[str, Any]) -> bool:
    """Tell whether the stored weights are the published ones, as far as anyone can know."""
    if card.weights.sha256 is not None:
        return recorded.get("original_sha256") == card.weights.sha256
    source = recorded.get("source")
    return isinstance(source, dict) and source.get("url") == card.weights.url


dinov2_vitl14 = partial(VitExtractor, VIT_CARDS["dinov2-vitl14"])
dinov2_vitb14 = partial(VitExtractor, VIT_CARDS["dinov2-vitb14"])
clip_vitl14_336 = partial(VitExtractor, VIT_CARDS["clip-vitl14-336"])
clip_vitb32 = partial(VitExtractor, VIT_CARDS["clip-vitb32"])
