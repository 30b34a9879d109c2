"""Training examples of the tokenizer: a crop, a flow time and a noise image per draw."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dar_bench.api import SampleKeys
from dar_bench.data import open_source
from dar_bench.data.transforms import Pixels, center_crop, random_crop, random_flip, to_chw
from dar_bench.sampling.randomness import integers, normals, uniforms
from dar_bench_dar.train.recipes import ImageData


class TokenizerImages:
    """Map-style data set of (index, draw); every random number of an example comes from (seed, draw)."""

    def __init__(self, data: ImageData, image_size: int, seed: int):
        self.source = open_source(data.train)
        self.data = data
        self.size = image_size
        self.seed = seed
        self.images = [example.image for example in self.source] if data.in_memory else None

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Tensor]:
        """Return ``image`` uint8 (3, H, W), ``time`` () in (0, 1], ``noise`` float32 (3, H, W)."""
        index, draw = key
        keys = SampleKeys(seed=self.seed, indices=(draw,))
        return {
            "image": torch.from_numpy(to_chw(self._augmented(index, keys))),
            "time": torch.tensor(uniforms(keys, "train-time", 1)[0, 0], dtype=torch.float32),
            "noise": normals(keys, "train-noise", (3, self.size, self.size))[0],
        }

    def _augmented(self, index: int, keys: SampleKeys) -> Pixels:
        image = self.images[index] if self.images is not None else self.source[index].image
        random = np.random.default_rng(integers(keys, "train-crop", 0, 2**32 - 1, 4)[0])
        if self.data.crop == "adm":
            pixels = random_crop(image, self.size, random, min_scale=self.data.min_scale)
        else:
            pixels = center_crop(image, self.size)
        if self.data.crop == "shift":
            pixels = shifted(pixels, self.data.shift, random)
        return random_flip(pixels, random) if self.data.flip else pixels


def shifted(pixels: Pixels, most: int, random: np.random.Generator) -> Pixels:
    """Move an image (H, W, 3) by up to ``most`` pixels each way; uncovered places repeat the edge."""
    top, left = random.integers(0, 2 * most + 1, size=2)
    padded = np.pad(pixels, ((most, most), (most, most), (0, 0)), mode="edge")
    return padded[top : top + pixels.shape[0], left : left + pixels.shape[1]]


def held_out_images(spec: str, image_size: int, count: int) -> Tensor:
    """Return up to ``count`` (0: all) centre-cropped images of a source, evenly spread, uint8 (n, 3, H, W)."""
    source = open_source(spec)
    total = len(source)
    chosen = np.linspace(0, total - 1, min(count or total, total)).round().astype(int)
    return torch.from_numpy(np.stack([to_chw(center_crop(source[int(i)].image, image_size)) for i in chosen]))
