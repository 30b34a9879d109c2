"""The image encoder and the token decoder of the tokenizer (paper, section 4 and appendix I).

Shape legend: B batch, P patches, N tokens, C width, E code width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dar_bench.nn.attention import MLP, NORM_EPS, QKNormAttention, causal_window, plain_norm
from dar_bench.nn.rope2d import grid_rotation, rotation_table
from dar_bench_dar.model.config import TokenizerConfig

TokenCache = list[tuple[Tensor, Tensor] | None]
"""Keys and values of the tokens read so far, one pair per block."""


class GatedBlock(nn.Module):
    """``x + gate1 * attention(norm1(x))``, then ``x + gate2 * mlp(norm2(x))``; gates are learned vectors."""

    def __init__(self, dim: int, gate_init: float):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.attention = QKNormAttention(dim)
        self.gate1 = nn.Parameter(torch.full((dim,), gate_init))
        self.norm2 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.mlp = MLP(dim)
        self.gate2 = nn.Parameter(torch.full((dim,), gate_init))

    def forward(self, x: Tensor, *, table: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Encoder use: positions rotated by ``table``, visibility by ``mask``."""
        x = x + self.gate1 * self.attention(self.norm1(x), table=table, mask=mask)
        return x + self.gate2 * self.mlp(self.norm2(x))

    def extend(self, x: Tensor, past: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Causal use: read further positions (B, n, C) after the cached ones."""
        normed = self.norm1(x)
        key, value = self.attention.keys_values(normed)
        if past is None:
            out = self.attention.attend(normed, key, value, causal=True)
        else:
            visible = causal_window(past[0].shape[2], x.shape[1], x.device)
            key, value = torch.cat([past[0], key], dim=2), torch.cat([past[1], value], dim=2)
            out = self.attention.attend(normed, key, value, mask=visible)
        x = x + self.gate1 * out
        return x + self.gate2 * self.mlp(self.norm2(x)), (key, value)


class ImageEncoder(nn.Module):
    """Image to N latent vectors: patches and learned queries through one transformer (equation 1)."""

    def __init__(self, config: TokenizerConfig):
        super().__init__()
        self.tokens = config.tokens
        self.patchify = nn.Conv2d(3, config.width, config.patch_size, config.patch_size)
        self.query_embedding = nn.Embedding(config.query_rows, config.query_rank)
        self.query_linear = nn.Linear(config.query_rank, config.width)
        self.layers = nn.ModuleList(
            GatedBlock(config.width, config.gate_init) for _ in range(config.encoder_depth)
        )
        self.to_code = nn.Linear(config.width, config.code_dim, bias=False)
        self.grid = config.encoder_grid
        self.reset_tables()

    def reset_tables(self) -> None:
        """Build the constant tables: positions and visibility."""
        angles = grid_rotation(self.grid, self.grid, 64)
        self.register_buffer("table", rotation_table(angles, self.tokens), persistent=False)
        patches = self.grid**2
        visible = torch.ones(patches + self.tokens, patches + self.tokens, dtype=torch.bool).tril()
        visible[:, :patches] = (
            True  # every position sees every patch; a query also sees the queries before it
        )
        self.register_buffer("mask", visible, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Return latents (B, N, E), not yet normalised, of images (B, 3, H, W) in [-1, 1]."""
        patches = plain_norm(self.patchify(image).flatten(2).transpose(1, 2))
        queries = self.query_linear(self.query_embedding.weight[: self.tokens])
        x = torch.cat([patches, queries.expand(len(image), -1, -1).to(patches.dtype)], dim=1)
        for layer in self.layers:
            x = layer(x, table=self.table, mask=self.mask)
        return self.to_code(plain_norm(x[:, -self.tokens :]))


class TokenDecoder(nn.Module):
    """Quantised vectors to condition vectors, causally: group k never depends on later groups."""

    def __init__(self, config: TokenizerConfig):
        super().__init__()
        self.from_code = nn.Linear(config.code_dim, config.width, bias=False)
        self.positions = nn.Embedding(config.query_rows, config.width)
        self.layers = nn.ModuleList(
            GatedBlock(config.width, config.gate_init) for _ in range(config.token_decoder_depth)
        )

    def forward(self, vectors: Tensor) -> Tensor:
        """Return conditions (B, N, C) of unit code vectors (B, N, E)."""
        return self.extend(vectors, self.new_cache())

    def new_cache(self) -> TokenCache:
        """Return an empty cache for ``extend``."""
        return [None] * len(self.layers)

    def extend(self, vectors: Tensor, cache: TokenCache) -> Tensor:
        """Return conditions (B, n, C) of the next ``n`` code vectors; the cache is advanced in place."""
        first = cache[0]
        start = 0 if first is None else first[0].shape[2]
        positions = self.positions.weight[start : start + vectors.shape[1]]
        x = F.linear(vectors.to(self.from_code.weight.dtype), self.from_code.weight) + positions
        for i, layer in enumerate(self.layers):
            x, cache[i] = layer.extend(x, cache[i])
        return plain_norm(x)
