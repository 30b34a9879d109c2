"""The pixel diffusion transformer: velocity of a noisy image under a group of condition tokens.

Shape legend: B batch, L patches, G tokens of a group, C width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dar_bench.nn.attention import MLP, QKNormAttention, plain_norm
from dar_bench.nn.rope2d import grid_rotation, rotation_table
from dar_bench_dar.model.config import TokenizerConfig


def time_features(time: Tensor, dim: int) -> Tensor:
    """Return the sinusoid of 1000 t, float32 (B, dim): cosines first, frequencies ``10000 ** (-i / (dim / 2))``."""
    half = dim // 2
    frequencies = torch.exp(
        -math.log(10000.0) * torch.arange(half, dtype=torch.float32, device=time.device) / half
    )
    angles = 1000.0 * time.float()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1)


class TimeEmbedding(nn.Module):
    """Two-layer SiLU MLP over the sinusoid of the flow time."""

    def __init__(self, dim: int):
        super().__init__()
        self.dim = dim
        self.mlp = nn.Sequential(nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, dim))

    def forward(self, time: Tensor) -> Tensor:
        """Return (B, C) of times (B,) in [0, 1]."""
        return self.mlp(time_features(time, self.dim).to(self.mlp[0].weight.dtype))


class PixelBlock(nn.Module):
    """A transformer block modulated, per position, by what it reads from the condition tokens and the time."""

    def __init__(self, dim: int):
        super().__init__()
        self.time_embed = TimeEmbedding(dim)
        self.cond_embed = nn.Sequential(nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.cross_attn = QKNormAttention(dim)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))
        self.attention = QKNormAttention(dim)
        self.mlp = MLP(dim)

    def forward(self, x: Tensor, time: Tensor, conditions: Tensor, table: Tensor) -> Tensor:
        """Return (B, L, C) of ``x`` (B, L, C) at ``time`` (B,) under ``conditions`` (B, G, C)."""
        read = plain_norm(self.cond_embed(conditions))
        key, value = self.cross_attn.keys_values(read)  # tokens have no place on the grid: not rotated
        seen = self.cross_attn.attend(plain_norm(x), key, value, table=table)
        modulation = self.adaLN_modulation(self.time_embed(time)[:, None] + seen)
        shift1, scale1, gate1, shift2, scale2, gate2 = modulation.chunk(6, dim=-1)
        x = x + gate1 * self.attention(plain_norm(x) * (1 + scale1) + shift1, table=table)
        return x + gate2 * self.mlp(plain_norm(x) * (1 + scale2) + shift2)


class RepresentationHead(nn.Module):
    """Projects hidden states to the features of a frozen image model (REPA, Yu et al., 2024); training only."""

    def __init__(self, dim: int, hidden: int, out: int):
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(dim, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, out)
        )

    def forward(self, x: Tensor, grid: int, pooled: int) -> Tensor:
        """Return (B, pooled**2, out) of hidden states (B, grid**2, C), average-pooled on the grid first."""
        image = x.transpose(1, 2).unflatten(2, (grid, grid))
        return self.mlp(F.adaptive_avg_pool2d(image, pooled).flatten(2).transpose(1, 2))


class PixelDecoder(nn.Module):
    """Velocity network of the flow from noise to the image (paper, section 4)."""

    def __init__(self, config: TokenizerConfig):
        super().__init__()
        dim, patch = config.decoder_width, config.decoder_patch_size
        self.patch = patch
        self.grid = config.decoder_grid
        self.repa_block = config.repa_block
        self.cond_mlp = nn.Linear(config.width, dim)
        self.conv_in = nn.Linear(3 * patch * patch, dim)
        self.blocks = nn.ModuleList(PixelBlock(dim) for _ in range(config.decoder_depth))
        self.conv_out = nn.Linear(dim, 3 * patch * patch)
        self.repa_out = (
            RepresentationHead(dim, config.repa_hidden, config.repa_dim) if config.repa_dim else None
        )
        self.reset_tables()

    def reset_tables(self) -> None:
        """Build the constant table of positions."""
        angles = grid_rotation(self.grid, self.grid, 64)
        self.register_buffer("table", rotation_table(angles), persistent=False)

    def reset_parameters(self) -> None:
        """Zero the modulations and the output, so that the network starts as the zero velocity."""
        for block in self.blocks:
            nn.init.zeros_(block.adaLN_modulation[1].weight)
            nn.init.zeros_(block.adaLN_modulation[1].bias)
        nn.init.zeros_(self.conv_out.weight)
        nn.init.zeros_(self.conv_out.bias)

    def forward(self, x: Tensor, time: Tensor, conditions: Tensor) -> Tensor:
        """Return the velocity (B, 3, H, W) of ``x`` (B, 3, H, W) at ``time`` (B,) under ``conditions`` (B, G, C)."""
        return self.velocity(x, time, conditions)[0]

    def velocity(
        self, x: Tensor, time: Tensor, conditions: Tensor, aligned_grid: int = 0
    ) -> tuple[Tensor, Tensor | None]:
        """As ``forward``; with ``aligned_grid``, also the alignment head's output (B, aligned_grid**2, repa_dim)."""
        hidden = self.conv_in(
            F.pixel_unshuffle(x, self.patch).flatten(2).transpose(1, 2).to(self.conv_in.weight.dtype)
        )
        conditions = plain_norm(self.cond_mlp(conditions))
        aligned = None
        for i, block in enumerate(self.blocks):
            if aligned_grid and i == self.repa_block and self.repa_out is not None:
                aligned = self.repa_out(hidden, self.grid, aligned_grid)
            hidden = block(hidden, time, conditions, self.table)
        if aligned_grid and self.repa_block == len(self.blocks) and self.repa_out is not None:
            aligned = self.repa_out(hidden, self.grid, aligned_grid)
        patches = self.conv_out(plain_norm(hidden)).transpose(1, 2).unflatten(2, (self.grid, self.grid))
        return F.pixel_shuffle(patches, self.patch), aligned
