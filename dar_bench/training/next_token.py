"""Next-token prediction on cached codes: the examples, and the loss (D-AR paper, equation 6).

Shape legend: B batch, N tokens, V codebook entries.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from dar_bench.api import SampleKeys
from dar_bench.data.codes import CodeCache
from dar_bench.nn.llama import Llama
from dar_bench.sampling.randomness import integers, uniforms
from dar_bench.training.next_token_recipe import CodeData


class CodeExamples:
    """Map-style data set of (index, draw): one crop's codes and the label, dropped at random."""

    def __init__(
        self, cache: CodeCache, indices: NDArray[np.int64], data: CodeData, null_label: int, seed: int
    ):
        self.cache = cache
        self.indices = indices
        self.label_dropout = data.label_dropout
        self.null_label = null_label
        self.seed = seed

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Tensor]:
        """Return ``codes`` int64 (N,) and ``label`` int64 ()."""
        position, draw = key
        index = int(self.indices[position])
        keys = SampleKeys(seed=self.seed, indices=(draw,))
        crop = int(integers(keys, "train-crop", 0, self.cache.crops, 1)[0, 0])
        dropped = uniforms(keys, "train-label", 1)[0, 0] <= self.label_dropout
        label = self.null_label if dropped else self.cache.label(index)
        return {"codes": torch.from_numpy(self.cache.codes(index, crop)), "label": torch.tensor(label)}


class NextToken(nn.Module):
    """Cross entropy of every token given the class and the tokens before it."""

    def __init__(self, network: Llama):
        super().__init__()
        self.network = network

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss in nats per token and the share of tokens predicted first.

        Args:
            batch: ``codes`` int64 (B, N), ``label`` int64 (B,).
        """
        codes = batch["codes"]
        logits = self.network(codes[:, :-1], batch["label"])  # (B, N, V)
        loss = F.cross_entropy(logits.flatten(0, 1), codes.flatten())
        accuracy = (logits.detach().argmax(-1) == codes).float().mean()
        return loss, {"accuracy": accuracy}
