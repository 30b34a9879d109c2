"""Multi-head attention with normalised queries and keys, and the plain two-layer MLP beside it.

Shape legend: B batch, L query positions, M context positions, C width, H heads, D head width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dar_bench.nn.rope2d import rotate

NORM_EPS = 1e-6


class QKNormAttention(nn.Module):
    """Self- or cross-attention with a LayerNorm on every head's query and key (Henry et al., 2020).

    Separate biased projections ``q``, ``k``, ``v``, ``proj``; no dropout.

    Args:
        dim: width C of both the queries' side and the context.
        head_dim: width D of one head; must divide ``dim``.
    """

    def __init__(self, dim: int, head_dim: int = 64):
        super().__init__()
        if dim % head_dim:
            raise ValueError(f"the width {dim} is not a multiple of the head width {head_dim}")
        self.head_dim = head_dim
        self.q = nn.Linear(dim, dim)
        self.k = nn.Linear(dim, dim)
        self.v = nn.Linear(dim, dim)
        self.proj = nn.Linear(dim, dim)
        self.q_norm = nn.LayerNorm(head_dim, eps=NORM_EPS)
        self.k_norm = nn.LayerNorm(head_dim, eps=NORM_EPS)

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:-1], -1, self.head_dim).transpose(1, 2)  # (B, H, L, D)

    def keys_values(self, context: Tensor, table: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return keys and values, (B, H, M, D) each, of a context (B, M, C)."""
        key = self.k_norm(self._heads(self.k(context)))
        if table is not None:
            key = rotate(key, table)
        return key, self._heads(self.v(context))

    def attend(
        self,
        x: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        table: Tensor | None = None,
        mask: Tensor | None = None,
        causal: bool = False,
    ) -> Tensor:
        """Return the attention output (B, L, C) of ``x`` (B, L, C) over given keys and values.

        Args:
            table: rotation of the queries, see ``rotation_table``.
            mask: boolean (L, M), true where a position may look.
            causal: lower-triangular mask over equal lengths.
        """
        query = self.q_norm(self._heads(self.q(x)))
        if table is not None:
            query = rotate(query, table)
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal)
        projected: Tensor = self.proj(out.transpose(1, 2).flatten(-2))
        return projected

    def forward(
        self,
        x: Tensor,
        *,
        table: Tensor | None = None,
        mask: Tensor | None = None,
        causal: bool = False,
    ) -> Tensor:
        """Self-attention of ``x`` (B, L, C); see ``attend``."""
        key, value = self.keys_values(x, table)
        return self.attend(x, key, value, table=table, mask=mask, causal=causal)


class MLP(nn.Module):
    """``fc2(silu(fc1(x)))`` with biases and a hidden width of ``ratio * dim``."""

    def __init__(self, dim: int, ratio: int = 4):
        super().__init__()
        self.fc1 = nn.Linear(dim, ratio * dim)
        self.fc2 = nn.Linear(ratio * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., C) of (..., C)."""
        out: Tensor = self.fc2(F.silu(self.fc1(x)))
        return out


def plain_norm(x: Tensor) -> Tensor:
    """LayerNorm over the last dimension without learned scale or shift, eps 1e-6."""
    return F.layer_norm(x, x.shape[-1:], eps=NORM_EPS)


def init_linear(module: nn.Module, std: float = 0.02) -> None:
    """Initialise a Linear: truncated normal weights of deviation ``std``, zero bias; for ``Module.apply``."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=std)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def causal_window(past: int, new: int, device: torch.device | str | None = None) -> Tensor:
    """Return the mask (new, past + new) by which ``new`` positions see the past and, causally, themselves."""
    ones = torch.ones(new, past + new, dtype=torch.bool, device=device)
    return ones.tril(diagonal=past)
