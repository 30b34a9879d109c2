"""Training examples: an image, its label, a step of the process and noise per draw."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dar_bench.api import SampleKeys
from dar_bench.sampling.randomness import integers, normals, uniforms
from dar_bench.training.images import CroppedImages
from dar_bench_dit.train.recipes import DitRecipe


class NoisedImages(CroppedImages):
    """Map-style data set of (index, draw); every random number of an example comes from (seed, draw).

    Args:
        recipe: of the training.
        shape: of what the network learns, (C, S, S): pixels or latents.
        steps: T of the diffusion process.
    """

    def __init__(self, recipe: DitRecipe, shape: tuple[int, int, int], steps: int):
        super().__init__(recipe.data, recipe.model.image_size, recipe.train.seed)
        self.shape, self.steps = shape, steps
        self.label_dropout, self.null_label = recipe.data.label_dropout, recipe.model.num_classes
        self.latents = bool(recipe.model.autoencoder)
        self.labels = self.source.labels()

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Tensor]:
        """Return ``image`` uint8 (3, H, W), ``noise`` float32 (C, S, S), ``t`` and ``label`` int64 ().

        For latents there is ``spread`` float32 (C, S, S) too: normals that choose a point of the image's posterior.
        """
        index, draw = key
        keys = SampleKeys(seed=self.seed, indices=(draw,))
        dropped = uniforms(keys, "train-label", 1)[0, 0] <= self.label_dropout
        example = {
            **super().__getitem__(key),
            "noise": normals(keys, "train-noise", self.shape)[0],
            "t": torch.tensor(int(integers(keys, "train-time", 0, self.steps, 1)[0, 0])),
            "label": torch.tensor(self.null_label if dropped else int(self.labels[index])),
        }
        if self.latents:
            example["spread"] = normals(keys, "train-spread", self.shape)[0]
        return example


class Chosen:
    """Some examples of a data set, by their indices, int64 (n,)."""

    def __init__(self, whole: NoisedImages, indices: NDArray[np.int64]):
        self.whole = whole
        self.indices = indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Tensor]:
        """Return the example at a position among the chosen ones, with a draw's random numbers."""
        position, draw = key
        return self.whole[int(self.indices[position]), draw]
