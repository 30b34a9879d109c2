"""The extractor ``inception-2015-12-05``: what FID, sFID and IS are measured with, without TensorFlow."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from dar_bench.devices import exact_convolutions
from dar_bench.features.base import Features, concatenate
from dar_bench.features.cards import INCEPTION
from dar_bench.features.checks import check_images
from dar_bench.features.inception_store import stored
from dar_bench.metrics.frechet import frechet_distance
from dar_bench.nn.inception import Inception, resize_tf1

PREPROCESSING = "uint8-rgb;stretch-299x299:tf1-bilinear-float32;(x-128)/128"

Precision = Literal["float32", "tf32", "bfloat16"]

CPU_CHUNK = 8
GPU_CHUNK = 256
_CHECKED = 64  # images that a fast precision is compared with float32 on


class Inception2015:
    """2048 pooled features, 2023 spatial features and 1008 class probabilities by the weights of the store.

    Not an ``nn.Module``, so that a training model which holds one neither trains nor saves it.

    Args:
        device: torch device string.
        precision: ``float32``, or a fast mode of GPUs: ``tf32`` or ``bfloat16``. What a fast mode changes is
            measured on the first images and told by ``precision_note``.

    Raises:
        UserError: the weights are not on this machine; says how to get them.
    """

    name = INCEPTION.name

    def __init__(self, device: str | torch.device = "cpu", precision: Precision = "float32"):
        from safetensors.torch import load_file

        files = stored()
        self.device = torch.device(device)
        self.precision = precision
        self.trusted = files.trusted
        self.content_sha256 = files.content_sha256
        self.network = Inception(load_file(files.tensors)).to(self.device)
        self._fast: Inception | None = None
        if precision == "bfloat16":
            self._fast = Inception(load_file(files.tensors)).to(self.device, torch.bfloat16)
        self._exact_pool: list[Tensor] = []
        self._fast_pool: list[Tensor] = []

    def fingerprint(self) -> str:
        """Return the hash of the weights' numbers, the preprocessing and the precision."""
        return f"{self.name};sha256={self.content_sha256};{PREPROCESSING};torch-{self.precision}"

    def extract(self, images: Tensor) -> Features:
        """Return the features of ``images``, uint8 (n, 3, H, W), stretched to 299 x 299 as TensorFlow 1 does.

        Raises:
            UserError: not uint8, not three channels, or no images.
        """
        check_images(images)
        size = CPU_CHUNK if self.device.type == "cpu" else GPU_CHUNK
        return concatenate([self._extract_chunk(chunk) for chunk in torch.split(images, size)])

    def precision_note(self) -> str:
        """Tell what the fast precision changed on the first images; empty in float32."""
        if self.precision == "float32":
            return ""
        if not self._exact_pool:
            return (
                f"Features in {self.precision}; their error was not measured, for they came from the store."
            )
        exact, fast = torch.cat(self._exact_pool).numpy(), torch.cat(self._fast_pool).numpy()
        error = float(np.abs(exact - fast).max())
        shift = frechet_distance(exact, fast) if len(exact) > 1 else 0.0
        return (
            f"Features in {self.precision}: on the first {len(exact)} images they differ from float32 by up to "
            f"{error:.1e}, and the Frechet distance between the two is {shift:.1e}."
        )

    @torch.inference_mode()
    def _extract_chunk(self, images: Tensor) -> Features:
        pixels = resize_tf1(images.to(self.device).float())
        if self.precision == "float32":
            with exact_convolutions():
                pool, spatial = self.network(pixels)
        else:
            pool, spatial = self._extract_fast(pixels)
        probabilities = self.network.logits(pool).softmax(dim=1)
        return Features(
            pool=pool.cpu().numpy(),
            probabilities=probabilities.cpu().numpy(),
            extractor=self.name,
            fingerprint=self.fingerprint(),
            spatial=np.ascontiguousarray(spatial.cpu().numpy()),
        )

    def _extract_fast(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        if self._fast is not None:
            pool, spatial = (part.float() for part in self._fast(pixels))
        else:
            with torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=True):
                pool, spatial = self.network(pixels)
        wanted = _CHECKED - sum(len(part) for part in self._exact_pool)
        if wanted > 0:
            with exact_convolutions():
                exact, _ = self.network(pixels[:wanted])
            self._exact_pool.append(exact.cpu())
            self._fast_pool.append(pool[:wanted].cpu())
        return pool, spatial
