"""Convolutional blocks of VQ-GAN-type image autoencoders (Esser et al., 2021; LlamaGen's variant).

Parameter names are those of the published checkpoints. Shape legend: B batch, C channels, H x W places.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

NORM_GROUPS = 32
NORM_EPS = 1e-6


def group_norm(channels: int) -> nn.GroupNorm:
    """Return the norm that all blocks use: 32 groups, eps 1e-6, learned scale and shift."""
    return nn.GroupNorm(NORM_GROUPS, channels, eps=NORM_EPS)


class ResidualBlock(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x)))))); a 1x1 convolution on the way round where the widths differ."""

    def __init__(self, channels: int, out: int):
        super().__init__()
        self.norm1 = group_norm(channels)
        self.conv1 = nn.Conv2d(channels, out, 3, padding=1)
        self.norm2 = group_norm(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1)
        self.nin_shortcut = nn.Conv2d(channels, out, 1) if channels != out else None

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, out, H, W) of (B, C, H, W)."""
        hidden = self.conv1(F.silu(self.norm1(x)))
        hidden = self.conv2(F.silu(self.norm2(hidden)))
        out: Tensor = hidden + (x if self.nin_shortcut is None else self.nin_shortcut(x))
        return out


class SpatialAttention(nn.Module):
    """x + attention of one head, as wide as the image's channels, over all places."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = group_norm(channels)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, H, W) of (B, C, H, W)."""
        normed = self.norm(x)
        query, key, value = (
            part(normed).flatten(2).transpose(1, 2)[:, None] for part in (self.q, self.k, self.v)
        )  # (B, 1, H W, C)
        seen = F.scaled_dot_product_attention(query, key, value)
        projected: Tensor = self.proj_out(seen[:, 0].transpose(1, 2).reshape(x.shape))
        return x + projected


class Downsample(nn.Module):
    """Halve the sides: a 3x3 convolution of stride 2 with one pixel of zeros to the right and below only."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, H / 2, W / 2) of (B, C, H, W)."""
        halved: Tensor = self.conv(F.pad(x, (0, 1, 0, 1)))
        return halved


class Upsample(nn.Module):
    """Double the sides: every pixel four times, then a 3x3 convolution."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, 2 H, 2 W) of (B, C, H, W)."""
        doubled: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return doubled


class Level(nn.Module):
    """The blocks of one resolution: residual blocks, each followed by attention where there is any, then a resize.

    Args:
        channels, out: width at the entry and behind the first block.
        blocks: number of residual blocks.
        attention: an attention block after each of them.
        resize: ``downsample`` or ``upsample`` behind them, or empty.
    """

    def __init__(self, channels: int, out: int, blocks: int, *, attention: bool = False, resize: str = ""):
        super().__init__()
        self.res = nn.ModuleList(ResidualBlock(channels if i == 0 else out, out) for i in range(blocks))
        self.attn = nn.ModuleList(SpatialAttention(out) for _ in range(blocks if attention else 0))
        self.downsample = Downsample(out) if resize == "downsample" else None
        self.upsample = Upsample(out) if resize == "upsample" else None

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, out, H', W') of (B, C, H, W)."""
        for index, block in enumerate(self.res):
            x = block(x)
            if self.attn:
                x = self.attn[index](x)
        for resize in (self.downsample, self.upsample):
            if resize is not None:
                x = resize(x)
        return x


def middle(channels: int) -> nn.ModuleList:
    """Return the stretch between encoder or decoder levels and the codes: residual, attention, residual."""
    return nn.ModuleList(
        [ResidualBlock(channels, channels), SpatialAttention(channels), ResidualBlock(channels, channels)]
    )


class ImageEncoder(nn.Module):
    """Images to a grid of latents, one level after the other; every level but the last halves the sides.

    Args:
        width: of the first level.
        multipliers: width of every level as a multiple of ``width``.
        blocks: residual blocks of a level.
        latent: channels of the latents.
        attention: attention behind each residual block of the last level, not only in the middle.
    """

    def __init__(
        self, width: int, multipliers: tuple[int, ...], blocks: int, latent: int, *, attention: bool = True
    ):
        super().__init__()
        self.conv_in = nn.Conv2d(3, width, 3, padding=1)
        widths = [width, *(width * multiplier for multiplier in multipliers)]
        last = len(multipliers) - 1
        self.conv_blocks = nn.ModuleList(
            Level(
                widths[level],
                widths[level + 1],
                blocks,
                attention=attention and level == last,
                resize="" if level == last else "downsample",
            )
            for level in range(len(multipliers))
        )
        self.mid = middle(widths[-1])
        self.norm_out = group_norm(widths[-1])
        self.conv_out = nn.Conv2d(widths[-1], latent, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return latents (B, latent, H / f, W / f) of images (B, 3, H, W) in [-1, 1]."""
        x = self.conv_in(x)
        for part in (*self.conv_blocks, *self.mid):
            x = part(x)
        latents: Tensor = self.conv_out(F.silu(self.norm_out(x)))
        return latents


class ImageDecoder(nn.Module):
    """A grid of latents to images: the encoder's levels from the deepest to the shallowest, doubling the sides.

    Args:
        width, multipliers, latent: as the encoder's.
        blocks: residual blocks of a level.
        attention: attention behind each residual block of the deepest level, not only in the middle.
    """

    def __init__(
        self, width: int, multipliers: tuple[int, ...], blocks: int, latent: int, *, attention: bool = True
    ):
        super().__init__()
        deepest = width * multipliers[-1]
        self.conv_in = nn.Conv2d(latent, deepest, 3, padding=1)
        self.mid = middle(deepest)
        widths = [deepest, *(width * multiplier for multiplier in reversed(multipliers))]
        last = len(multipliers) - 1
        self.conv_blocks = nn.ModuleList(
            Level(
                widths[level],
                widths[level + 1],
                blocks,
                attention=attention and level == 0,
                resize="" if level == last else "upsample",
            )
            for level in range(len(multipliers))
        )
        self.norm_out = group_norm(widths[-1])
        self.conv_out = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        """Return images (B, 3, H, W) around [-1, 1], not clamped, of latents (B, latent, H / f, W / f)."""
        x = self.conv_in(latents)
        for part in (*self.mid, *self.conv_blocks):
            x = part(x)
        images: Tensor = self.conv_out(F.silu(self.norm_out(x)))
        return images


def to_tokens(grid: Tensor) -> Tensor:
    """Return vectors (B, H W, C), row after row, of a grid (B, C, H, W)."""
    return grid.flatten(2).transpose(1, 2)


def to_grid(vectors: Tensor) -> Tensor:
    """Return the square grid (B, C, H, H) of vectors (B, H H, C); the inverse of ``to_tokens``."""
    side = round(vectors.shape[1] ** 0.5)
    if side * side != vectors.shape[1]:
        raise ValueError(f"{vectors.shape[1]} vectors form no square grid")
    return vectors.transpose(1, 2).reshape(len(vectors), -1, side, side)
