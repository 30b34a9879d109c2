"""The Llama-type decoder of class-conditional image models, for training and for cached sampling.

Used by D-AR (arXiv 2505.23660, 1-D rotary table) and LlamaGen (arXiv 2406.06525, 2-D table whose class row is
zero). The sequence is one class embedding at position 0, then image tokens from position 1 on; position p
predicts image token p. Parameter names are those of the published checkpoints.

Shapes: B sequences, n tokens, d channels, H heads, D channels of a head, V codebook entries, N image tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import nn

from dar_bench.errors import UserError
from dar_bench.nn.cache import KVCache
from dar_bench.nn.rotary import apply_rotary


@dataclass(frozen=True, kw_only=True)
class LlamaConfig:
    """Sizes of a decoder.

    Attributes:
        layers, heads, dim: depth, attention heads and width.
        codebook_size: V.
        num_tokens: N, image tokens per sequence.
        num_classes: labels 0 to num_classes - 1; row num_classes of the class table is the null class.
        hidden_multiple: the feed-forward width is floor(8 d / 3) rounded up to a multiple of this.
        norm_eps: of RMSNorm.
        dropout: in training, on the embedded sequence and on the output of both residual branches.
    """

    layers: int
    heads: int
    dim: int
    codebook_size: int
    num_tokens: int
    num_classes: int
    hidden_multiple: int = 256
    norm_eps: float = 1e-5
    dropout: float = 0.1

    def __post_init__(self) -> None:
        impossible = "Impossible sizes of the autoregressive model:"
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name not in ("norm_eps", "dropout") and value < 1:
                raise UserError(f"{impossible} {field.name} is {value}.", hint="Give a positive number.")
        if self.dim % (2 * self.heads):
            raise UserError(
                f"{impossible} dim {self.dim} and {self.heads} heads.",
                why="The width must split into heads of an even number of channels.",
            )
        if not 0.0 <= self.dropout < 1.0:
            raise UserError(f"Dropout {self.dropout} is out of range.", hint="Give 0 or more, below 1.")

    @property
    def head_dim(self) -> int:
        """Channels of one attention head, D."""
        return self.dim // self.heads

    @property
    def hidden(self) -> int:
        """Width of the feed-forward layer."""
        return -(-(8 * self.dim // 3) // self.hidden_multiple) * self.hidden_multiple


class Llama(nn.Module):
    """The decoder; implements ``dar_bench.api.TokenNetwork``.

    ``forward`` is teacher-forced and applies dropout in training mode. ``prefill``, ``extend`` and ``step``
    read through a cache and never drop anything.

    Args:
        config: sizes.
        rotary: float32 (at least N, D / 2, 2) cosines and sines by position, see ``dar_bench.nn.rotary``.
            With N + 1 rows, the last token can be read too. It stays float32 when the network is cast.
    """

    def __init__(self, config: LlamaConfig, rotary: torch.Tensor):
        super().__init__()
        if rotary.shape[1:] != (config.head_dim // 2, 2) or len(rotary) < config.num_tokens:
            raise ValueError(f"rotary table {tuple(rotary.shape)} does not fit {config}")
        self.config = config
        self.num_tokens = config.num_tokens
        self.codebook_size = config.codebook_size
        self.null_label = config.num_classes
        # A plain attribute: a buffer would be rounded by .to(bfloat16) and lost on the meta device.
        self.rotary = rotary
        self.cls_embedding = ClassEmbedding(config.num_classes + 1, config.dim)
        self.tok_embeddings = nn.Embedding(config.codebook_size, config.dim)
        self.tok_dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.dim, config.norm_eps)
        self.output = nn.Linear(config.dim, config.codebook_size, bias=False)
        self._compiled: Callable[..., torch.Tensor] | None = None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise: normal with std 0.02, norms one, output projection zero."""
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=0.02)
            elif isinstance(module, RMSNorm):
                nn.init.ones_(module.weight)
        nn.init.zeros_(self.output.weight)

    def forward(self, tokens: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return teacher-forced logits.

        Args:
            tokens: int64 (B, n), the first n image tokens.
            labels: int64 (B,), with the null label where the caller dropped the class.

        Returns:
            float32 (B, n + 1, V); entry p predicts image token p.
        """
        x = self.tok_dropout(self._embed(labels, tokens))
        table = self._table()[: x.shape[1]]
        for layer in self.layers:
            x = layer(x, table)
        return self._logits(x)

    def new_cache(self, batch: int) -> KVCache:
        """Allocate the cache of ``batch`` sequences; see ``KVCache`` for the two ways of reading it."""
        weight = self.output.weight
        return KVCache(
            layers=self.config.layers,
            batch=batch,
            heads=self.config.heads,
            positions=len(self.rotary),
            head_dim=self.config.head_dim,
            dtype=weight.dtype,
            device=weight.device,
            attend_prefix=weight.device.type == "cpu" and self._compiled is None,
        )

    def prefill(self, labels: torch.Tensor, prefix: torch.Tensor | None, cache: KVCache) -> torch.Tensor:
        """Read the class (B,) and the first image tokens (B, n); return float32 logits (B, V) of the next."""
        return self._read_span(self._embed(labels, prefix), 0, cache)

    def extend(self, tokens: torch.Tensor, start: int, cache: KVCache) -> torch.Tensor:
        """Read image tokens (B, n) at positions ``start`` and following; return logits (B, V) of the next."""
        return self._read_span(self.tok_embeddings(tokens), start, cache)

    def step(self, tokens: torch.Tensor, position: torch.Tensor, cache: KVCache) -> torch.Tensor:
        """Read one image token (B,) at ``position`` (int64, 0-d); return logits (B, V) of the next."""
        return (self._compiled or self._read_one)(tokens, position, cache)

    def compile_step(self, **options: Any) -> None:
        """Compile ``step`` with ``torch.compile``; caches made from now on are read with static shapes.

        Args:
            options: passed on to ``torch.compile`` (``backend``, ``mode``).
        """
        self._compiled = torch.compile(self._read_one, dynamic=False, fullgraph=True, **options)

    def _embed(self, labels: torch.Tensor, tokens: torch.Tensor | None) -> torch.Tensor:
        x = self.cls_embedding(labels)[:, None]
        return x if tokens is None else torch.cat((x, self.tok_embeddings(tokens)), dim=1)

    def _read_span(self, x: torch.Tensor, start: int, cache: KVCache) -> torch.Tensor:
        count = x.shape[1]
        table = self._table()[start : start + count]
        mask = cache.span_mask(start, count)
        for index, layer in enumerate(self._blocks()):
            x = layer.read_span(x, table, start, mask, cache, index)
        return self._logits(x[:, -1])

    def _read_one(self, tokens: torch.Tensor, position: torch.Tensor, cache: KVCache) -> torch.Tensor:
        x = self.tok_embeddings(tokens)[:, None]
        table = self._table().index_select(0, position.reshape(1))
        mask = cache.step_mask(position)
        for index, layer in enumerate(self._blocks()):
            x = layer.read_one(x, table, position, mask, cache, index)
        return self._logits(x[:, 0])

    def _blocks(self) -> list[Block]:
        return cast("list[Block]", list(self.layers))

    def _table(self) -> torch.Tensor:
        return self.rotary.to(self.output.weight.device)

    def _logits(self, x: torch.Tensor) -> torch.Tensor:
        return self.output(self.norm(x)).float()  # type: ignore[no-any-return]

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Llama:
        # Follow the weights to their device, but keep float32, and never lose the values to the meta device.
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        device = self.output.weight.device
        if device.type != "meta":
            self.rotary = self.rotary.to(device)
        return self


class ClassEmbedding(nn.Module):
    """The class table; its last row is the null class."""

    def __init__(self, rows: int, dim: int):
        super().__init__()
        self.embedding_table = nn.Embedding(rows, dim)

    def forward(self, labels: torch.Tensor) -> torch.Tensor:
        """Return (B, d) of labels (B,)."""
        return self.embedding_table(labels)  # type: ignore[no-any-return]


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, config: LlamaConfig):
        super().__init__()
        self.attention = Attention(config)
        self.feed_forward = FeedForward(config)
        self.attention_norm = RMSNorm(config.dim, config.norm_eps)
        self.ffn_norm = RMSNorm(config.dim, config.norm_eps)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """Return the block's output (B, n, d), causal over all of ``x``."""
        x = x + self.drop(self.attention(self.attention_norm(x), table))
        return x + self.drop(self.feed_forward(self.ffn_norm(x)))  # type: ignore[no-any-return]

    def read_span(
        self,
        x: torch.Tensor,
        table: torch.Tensor,
        start: int,
        mask: torch.Tensor | None,
        cache: KVCache,
        layer: int,
    ) -> torch.Tensor:
        """Return the output (B, n, d) from position ``start`` on, through the cache of ``layer``."""
        q, k, v = self.attention.project(self.attention_norm(x), table)
        keys, values = cache.write_span(layer, start, k, v)
        return self._finish(x, F.scaled_dot_product_attention(q, keys, values, mask, is_causal=mask is None))

    def read_one(
        self,
        x: torch.Tensor,
        table: torch.Tensor,
        position: torch.Tensor,
        mask: torch.Tensor | None,
        cache: KVCache,
        layer: int,
    ) -> torch.Tensor:
        """Return the output (B, 1, d) at ``position``, through the cache of ``layer``."""
        q, k, v = self.attention.project(self.attention_norm(x), table)
        keys, values = cache.write_step(layer, position, k, v)
        return self._finish(x, F.scaled_dot_product_attention(q, keys, values, mask))

    def _finish(self, x: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
        x = x + self.attention.combine(attended)
        return x + self.feed_forward(self.ffn_norm(x))  # type: ignore[no-any-return]


class Attention(nn.Module):
    """Multi-head attention with one fused projection in the order q, k, v; no biases."""

    def __init__(self, config: LlamaConfig):
        super().__init__()
        self.heads = config.heads
        self.wqkv = nn.Linear(config.dim, 3 * config.dim, bias=False)
        self.wo = nn.Linear(config.dim, config.dim, bias=False)

    def forward(self, x: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """Return causal attention (B, n, d) over all of ``x``."""
        q, k, v = self.project(x, table)
        return self.combine(F.scaled_dot_product_attention(q, k, v, is_causal=True))

    def project(
        self, x: torch.Tensor, table: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return rotated queries and keys, and values, each (B, H, n, D), of ``x`` (B, n, d)."""
        fused = self.wqkv(x).unflatten(-1, (3 * self.heads, -1))
        # Queries and keys are rotated together, by one call instead of two: small steps are bound by calls.
        rotated = apply_rotary(fused[:, :, : 2 * self.heads], table).transpose(1, 2)
        values = fused[:, :, 2 * self.heads :].transpose(1, 2)
        return rotated[:, : self.heads], rotated[:, self.heads :], values

    def combine(self, heads: torch.Tensor) -> torch.Tensor:
        """Project the attended values (B, H, n, D) back to (B, n, d)."""
        return self.wo(heads.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class FeedForward(nn.Module):
    """SwiGLU: w2(silu(w1 x) * w3 x); no biases."""

    def __init__(self, config: LlamaConfig):
        super().__init__()
        self.w1 = nn.Linear(config.dim, config.hidden, bias=False)
        self.w3 = nn.Linear(config.dim, config.hidden, bias=False)
        self.w2 = nn.Linear(config.hidden, config.dim, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (..., d) of (..., d)."""
        return self.w2(F.silu(self.w1(x)) * self.w3(x))  # type: ignore[no-any-return]


class RMSNorm(nn.Module):
    """Root-mean-square norm: computed in float32, cast back, and only then scaled by the weight."""

    def __init__(self, dim: int, eps: float):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (..., d) of (..., d), in the wider of the types of ``x`` and the weight."""
        wide = x.float()
        normed = wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + self.eps)
        return normed.to(x.dtype) * self.weight
