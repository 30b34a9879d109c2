"""The diffusion transformer of DiT (Peebles and Xie, arXiv 2212.09748): patches in, patches out, adaLN-Zero between.

One network for the systems that took it over: DiT predicts noise and variance, SiT a velocity; what the output
means is the sampler's business. Parameters have the names of the published checkpoints.

Shape legend: B batch, C channels in, K channels out, S side of the input, P side of a patch, L = (S / P)^2 tokens,
D width, H heads.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dar_bench.nn.sinusoids import place_sinusoids, time_sinusoid

TIME_WIDTH = 256
NORM_EPS = 1e-6


@dataclass(frozen=True, kw_only=True)
class DiffusionTransformerConfig:
    """Sizes.

    Attributes:
        input_size: side S of the (latent) images.
        patch_size: side P of a patch.
        channels, out_channels: C and K; with a learned variance K is 2 C.
        width, depth, heads: of the transformer.
        mlp_ratio: hidden width of the MLPs in widths.
        num_classes: the label table has one row more, the null class that guidance and label dropout use.
    """

    input_size: int = 32
    patch_size: int = 2
    channels: int = 4
    out_channels: int = 8
    width: int = 1152
    depth: int = 28
    heads: int = 16
    mlp_ratio: float = 4.0
    num_classes: int = 1000

    @property
    def grid(self) -> int:
        """Patches on a side."""
        return self.input_size // self.patch_size


class DiffusionTransformer(nn.Module):
    """A transformer over patches whose blocks are scaled, shifted and gated by time and class.

    Built on the meta device or filled from a file it needs no :meth:`initialize`.
    """

    def __init__(self, config: DiffusionTransformerConfig):
        super().__init__()
        self.config = config
        self.x_embedder = PatchEmbedding(config)
        self.t_embedder = TimeEmbedding(config.width)
        self.y_embedder = LabelEmbedding(config.num_classes + 1, config.width)
        # Fixed, but stored as published: a file may bring its own.
        self.pos_embed = nn.Parameter(
            torch.empty(1, config.grid * config.grid, config.width), requires_grad=False
        )
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.final_layer = FinalLayer(config)

    def forward(self, x: Tensor, time: Tensor, labels: Tensor) -> Tensor:
        """Return the network's output (B, K, S, S) for noisy inputs.

        Args:
            x: (B, C, S, S).
            time: (B,), in whole steps for DiT.
            labels: int64 (B,); ``num_classes`` is the null class.
        """
        tokens = self.x_embedder(x) + self.pos_embed  # (B, L, D)
        condition = F.silu(
            self.t_embedder(time) + self.y_embedder(labels)
        )  # (B, D), as every modulation reads it
        for block in self.blocks:
            tokens = block(tokens, condition)
        return self._images(self.final_layer(tokens, condition))

    def _images(self, patches: Tensor) -> Tensor:
        """Put patches (B, L, P * P * K), channel fastest, back into images (B, K, S, S)."""
        grid, side = self.config.grid, self.config.patch_size
        split = patches.reshape(-1, grid, grid, side, side, self.config.out_channels)
        return split.permute(0, 5, 1, 3, 2, 4).reshape(-1, self.config.out_channels, grid * side, grid * side)

    def initialize(self) -> None:
        """Set the starting weights of a training: adaLN-Zero makes every block the identity at first."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        self.x_embedder.initialize()
        for module in (self.y_embedder.embedding_table, *self.t_embedder.mlp):
            if isinstance(module, nn.Embedding | nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
        for name, parameter in self.named_parameters():
            if "adaLN_modulation" in name or name.startswith("final_layer.linear"):
                nn.init.zeros_(parameter)
        with torch.no_grad():
            self.pos_embed.copy_(place_sinusoids(self.config.grid, self.config.grid, self.config.width))


class PatchEmbedding(nn.Module):
    """A linear map of every patch, written as the strided convolution that the checkpoints hold."""

    def __init__(self, config: DiffusionTransformerConfig):
        super().__init__()
        self.proj = nn.Conv2d(config.channels, config.width, config.patch_size, stride=config.patch_size)

    def forward(self, x: Tensor) -> Tensor:
        """Return row-major tokens (B, L, D) of (B, C, S, S)."""
        tokens: Tensor = self.proj(x).flatten(2).transpose(1, 2)
        return tokens

    def initialize(self) -> None:
        """Set the starting weights as a linear layer's over flattened patches."""
        nn.init.xavier_uniform_(self.proj.weight.data.flatten(1))
        if self.proj.bias is not None:
            nn.init.zeros_(self.proj.bias)


class TimeEmbedding(nn.Module):
    """Sinusoids of the time through a two-layer MLP."""

    def __init__(self, width: int):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(TIME_WIDTH, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, time: Tensor) -> Tensor:
        """Return (B, D) of times (B,)."""
        dtype = next(self.parameters()).dtype
        embedded: Tensor = self.mlp(time_sinusoid(time, TIME_WIDTH).to(dtype))
        return embedded


class LabelEmbedding(nn.Module):
    """One row per class, the last for no class."""

    def __init__(self, rows: int, width: int):
        super().__init__()
        self.embedding_table = nn.Embedding(rows, width)

    def forward(self, labels: Tensor) -> Tensor:
        """Return (B, D) of labels (B,)."""
        embedded: Tensor = self.embedding_table(labels)
        return embedded


class Block(nn.Module):
    """Attention and MLP behind norms without weights; the condition gives shift, scale and gate of both."""

    def __init__(self, config: DiffusionTransformerConfig):
        super().__init__()
        width = config.width
        self.norm1 = _norm(width)
        self.attn = SelfAttention(width, config.heads)
        self.norm2 = _norm(width)
        self.mlp = Mlp(width, int(width * config.mlp_ratio))
        self.adaLN_modulation = nn.Sequential(nn.Identity(), nn.Linear(width, 6 * width))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Return (B, L, D) of tokens (B, L, D) and an activated condition (B, D)."""
        parts = self.adaLN_modulation(condition)[:, None].chunk(6, dim=-1)
        shift_attention, scale_attention, gate_attention, shift_mlp, scale_mlp, gate_mlp = parts
        x = x + gate_attention * self.attn(modulate(self.norm1(x), shift_attention, scale_attention))
        out: Tensor = x + gate_mlp * self.mlp(modulate(self.norm2(x), shift_mlp, scale_mlp))
        return out


class SelfAttention(nn.Module):
    """Plain multi-head attention over all patches, with biases and one matrix for queries, keys and values."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, L, D) of (B, L, D)."""
        batch, length, width = x.shape
        split = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)  # (B, H, L, D / H) each
        attended = F.scaled_dot_product_attention(query, key, value)
        output: Tensor = self.proj(attended.transpose(1, 2).flatten(2))
        return output


class Mlp(nn.Module):
    """Two linear layers with a tanh-approximated GELU between them."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, L, D) of (B, L, D)."""
        output: Tensor = self.fc2(F.gelu(self.fc1(x), approximate="tanh"))
        return output


class FinalLayer(nn.Module):
    """A modulated norm and the map of every token to its output patch."""

    def __init__(self, config: DiffusionTransformerConfig):
        super().__init__()
        self.norm_final = _norm(config.width)
        self.linear = nn.Linear(config.width, config.patch_size**2 * config.out_channels)
        self.adaLN_modulation = nn.Sequential(nn.Identity(), nn.Linear(config.width, 2 * config.width))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Return (B, L, P * P * K) of tokens (B, L, D) and an activated condition (B, D)."""
        shift, scale = self.adaLN_modulation(condition)[:, None].chunk(2, dim=-1)
        output: Tensor = self.linear(modulate(self.norm_final(x), shift, scale))
        return output


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Return ``x (1 + scale) + shift``."""
    return torch.addcmul(shift, x, 1 + scale)


def _norm(width: int) -> nn.LayerNorm:
    return nn.LayerNorm(width, elementwise_affine=False, eps=NORM_EPS)
