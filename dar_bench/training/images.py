"""Images as training examples: which, how they are cropped, and which are held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from dar_bench.api import SampleKeys
from dar_bench.data import open_source
from dar_bench.data.transforms import Pixels, center_crop, random_crop, random_flip, to_chw
from dar_bench.sampling.randomness import integers
from dar_bench.training.recipe import require


@dataclass(frozen=True, kw_only=True)
class ImageData:
    """The images and their augmentation; a section of recipes.

    Attributes:
        train: data of the training, anything that ``dar_bench.data.open_source`` reads.
        val: held-out data for the periodic evaluation; empty switches it off.
        crop: ``adm`` resizes the short side at random and crops at random (as published); ``shift`` takes the
            centre crop and moves it by up to ``shift`` pixels over repeated edges, which keeps small images sharp;
            ``center`` takes the centre crop.
        min_scale: smallest side of the ``adm`` crop as a fraction of the short side.
        shift: see ``crop``.
        flip: mirror half of the images.
        in_memory: keep the decoded images in memory, for sets of a few thousand small images.
    """

    train: str
    val: str = ""
    crop: Literal["adm", "shift", "center"] = "adm"
    min_scale: float = 0.8
    shift: int = 2
    flip: bool = True
    in_memory: bool = False

    def check(self) -> None:
        """Refuse values out of range."""
        require(0 < self.min_scale <= 1, "min_scale", self.min_scale, "above 0 and at most 1")
        require(self.shift >= 0, "shift", self.shift, "0 or more")


class CroppedImages:
    """Map-style data set of (index, draw): a crop; its random numbers come from (seed, draw) alone.

    Derive from it to add what else an example needs.
    """

    def __init__(self, data: ImageData, image_size: int, seed: int):
        self.source = open_source(data.train)
        self.data = data
        self.size = image_size
        self.seed = seed
        self.images = [example.image for example in self.source] if data.in_memory else None

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Tensor]:
        """Return ``image`` uint8 (3, H, W)."""
        index, draw = key
        keys = SampleKeys(seed=self.seed, indices=(draw,))
        return {"image": torch.from_numpy(to_chw(self._augmented(index, keys)))}

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
