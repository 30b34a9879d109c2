"""Training examples of the tokenizer: a crop, a flow time and a noise image per draw."""

from __future__ import annotations

import torch
from torch import Tensor

from dar_bench.api import SampleKeys
from dar_bench.sampling.randomness import normals, uniforms
from dar_bench.training.images import CroppedImages


class TokenizerImages(CroppedImages):
    """Map-style data set of (index, draw); every random number of an example comes from (seed, draw)."""

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Tensor]:
        """Return ``image`` uint8 (3, H, W), ``time`` () in (0, 1], ``noise`` float32 (3, H, W)."""
        keys = SampleKeys(seed=self.seed, indices=(key[1],))
        return {
            **super().__getitem__(key),
            "time": torch.tensor(uniforms(keys, "train-time", 1)[0, 0], dtype=torch.float32),
            "noise": normals(keys, "train-noise", (3, self.size, self.size))[0],
        }
