"""The sequential diffusion tokenizer as one module (paper, section 3.1).

Shape legend: B batch, N tokens, E code width, C width.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dar_bench.nn.attention import init_linear
from dar_bench.nn.quantizer import VectorQuantizer
from dar_bench_dar.model.config import TokenizerConfig
from dar_bench_dar.model.pixel_decoder import PixelDecoder
from dar_bench_dar.model.transformer import ImageEncoder, TokenDecoder


class SequentialDiffusionTokenizer(nn.Module):
    """Encoder, quantizer, token decoder and pixel decoder; the sampling loop lives in ``dar_bench_dar.decode``."""

    def __init__(self, config: TokenizerConfig):
        super().__init__()
        self.config = config
        self.encoder = ImageEncoder(config)
        self.quantize = VectorQuantizer(config.codebook_size, config.code_dim)
        self.token_decoder = TokenDecoder(config)
        self.pixel_decoder = PixelDecoder(config)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as published: truncated normal linears, zero biases, zero modulations and output."""
        std = self.config.init_std
        self.apply(partial(init_linear, std=std))
        nn.init.trunc_normal_(self.token_decoder.positions.weight, std=std)
        self.pixel_decoder.reset_parameters()
        for layer in self.encoder.layers:
            nn.init.normal_(layer.attention.k.bias, std=self.config.place_init)
            nn.init.constant_(layer.attention.q_norm.weight, self.config.place_sharpness)
        for block in self.pixel_decoder.blocks:
            nn.init.normal_(block.cross_attn.q.bias, std=self.config.place_init)

    def reset_tables(self) -> None:
        """Build the constant tables anew, in float32 on the CPU: after building on the meta device or casting."""
        self.encoder.reset_tables()
        self.pixel_decoder.reset_tables()

    @torch.no_grad()
    def encode(self, image: Tensor) -> Tensor:
        """Return codes, int64 (B, N), of images (B, 3, H, W) in [-1, 1]."""
        return self.quantize.nearest(F.normalize(self.encoder(image).float(), dim=-1))

    def conditions(self, codes: Tensor) -> Tensor:
        """Return the condition vectors (B, n, C) of the first ``n`` codes (B, n)."""
        return self.token_decoder(self.quantize.lookup(codes))


def count_parameters(config: TokenizerConfig) -> int:
    """Return the number of parameters of a configuration without allocating them."""
    with torch.device("meta"):
        return sum(p.numel() for p in SequentialDiffusionTokenizer(config).parameters())
