"""What the autoregressive engine asks of a network; part of ``dar_bench.api``, which says the shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch

    from dar_bench.nn.cache import KVCache


class TokenNetwork(Protocol):
    """What an autoregressive plugin implements; the core engine does the rest.

    Positions count from 0, the class token; image token i is read at position i + 1.
    """

    num_tokens: int
    codebook_size: int
    null_label: int

    def new_cache(self, batch: int) -> KVCache:
        """Allocate the static key/value cache for ``batch`` sequences."""
        ...

    def prefill(self, labels: torch.Tensor, prefix: torch.Tensor | None, cache: KVCache) -> torch.Tensor:
        """Read the class token and the prefix codes (B, n); return logits (B, V) of the next token."""
        ...

    def extend(self, tokens: torch.Tensor, start: int, cache: KVCache) -> torch.Tensor:
        """Read tokens (B, n) at positions from ``start`` on; return logits (B, V) of the next."""
        ...

    def step(self, tokens: torch.Tensor, position: torch.Tensor, cache: KVCache) -> torch.Tensor:
        """Read one token (B,) at ``position`` (a 0-d int64 tensor); return logits (B, V) of the next."""
        ...
