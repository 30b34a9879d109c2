"""Vector quantisation with l2-normalised codes (van den Oord et al., 2017; LlamaGen's variant).

Shape legend: B batch, N tokens, V codebook entries, E code width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Quantized(NamedTuple):
    """What quantising gives.

    Attributes:
        vectors: (B, N, E) unit vectors of the codebook; gradients pass straight through to the input.
        codes: int64 (B, N).
        codebook_loss, commitment_loss: (B, N) squared errors, mean over E, without weights.
    """

    vectors: Tensor
    codes: Tensor
    codebook_loss: Tensor
    commitment_loss: Tensor


class VectorQuantizer(nn.Module):
    """Nearest neighbour among unit vectors; input and codebook are normalised at use."""

    def __init__(self, codebook_size: int, code_dim: int):
        super().__init__()
        self.embedding = nn.Embedding(codebook_size, code_dim)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the codebook uniformly, then normalise its rows."""
        bound = 1.0 / self.embedding.num_embeddings
        nn.init.uniform_(self.embedding.weight, -bound, bound)
        with torch.no_grad():
            self.embedding.weight.copy_(F.normalize(self.embedding.weight, dim=-1))

    def codebook(self) -> Tensor:
        """Return the unit-length codebook (V, E)."""
        return F.normalize(self.embedding.weight, dim=-1)

    def lookup(self, codes: Tensor) -> Tensor:
        """Return unit vectors (B, N, E) of codes (B, N)."""
        return F.normalize(F.embedding(codes, self.embedding.weight), dim=-1)

    def nearest(self, vectors: Tensor) -> Tensor:
        """Return the codes (B, N) of unit vectors (B, N, E), by smallest squared distance, in float32."""
        # Autocast would compute the product in bfloat16 whatever its operands are, and one code in 20 would change.
        with torch.autocast(vectors.device.type, enabled=False):
            book = self.codebook().float()
            flat = vectors.float().flatten(0, -2)
            # |z - e|^2 written out as the published code does: ties and rounding fall the same way.
            distance = flat.square().sum(1, keepdim=True) + book.square().sum(1) - 2 * flat @ book.T
        return distance.argmin(1).view(vectors.shape[:-1])

    def forward(self, z: Tensor) -> Quantized:
        """Quantise ``z`` (B, N, E)."""
        z = F.normalize(z, dim=-1)
        with torch.no_grad():
            codes = self.nearest(z)
        chosen = self.lookup(codes)
        return Quantized(
            vectors=z + (chosen - z).detach(),
            codes=codes,
            codebook_loss=(chosen - z.detach()).square().mean(-1),
            commitment_loss=(chosen.detach() - z).square().mean(-1),
        )
