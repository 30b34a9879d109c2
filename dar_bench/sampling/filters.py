"""From logits to a token: temperature, top-k, top-p, and one draw by inverse cumulative distribution.

The order and the treatment of ties and of the crossing token are LlamaGen's (arXiv 2406.06525, its published
sampler). Shapes: B samples, V codebook entries.
"""

from __future__ import annotations

import torch

_LOWEST_TEMPERATURE = 1e-5  # LlamaGen's floor


def filter_logits(
    logits: torch.Tensor, *, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0
) -> torch.Tensor:
    """Return logits with temperature applied and what top-k and top-p remove set to minus infinity.

    Args:
        logits: float32 (B, V).
        temperature: divides the logits; above 0.
        top_k: keep the k largest, and whatever ties with the k-th; 0 keeps all.
        top_p: keep the smallest set of the most probable entries whose mass exceeds p, the one that crosses p
            included; 1.0 keeps all.
    """
    if temperature != 1.0:
        logits = logits / max(temperature, _LOWEST_TEMPERATURE)
    if 0 < top_k < logits.shape[-1]:
        smallest_kept = logits.topk(top_k, dim=-1).values[:, -1:]
        logits = logits.masked_fill(logits < smallest_kept, float("-inf"))
    if top_p < 1.0:
        ordered, order = logits.sort(dim=-1, descending=True, stable=True)
        mass = ordered.softmax(dim=-1).cumsum(dim=-1)
        removed = torch.zeros_like(mass, dtype=torch.bool)
        removed[:, 1:] = mass[:, :-1] > top_p
        logits = logits.masked_fill(torch.zeros_like(removed).scatter(-1, order, removed), float("-inf"))
    return logits


def draw(logits: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """Draw one entry per row from softmax(logits): the first whose cumulative mass reaches the uniform.

    Sums are float64, so that their rounding turns a draw with a probability of about V * 1e-16 only.

    Args:
        logits: float32 (B, V); minus infinity is never drawn.
        uniforms: float64 (B,) in (0, 1].

    Returns:
        int64 (B,).
    """
    cumulative = logits.double().softmax(dim=-1).cumsum(dim=-1)
    threshold = uniforms[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, threshold)[:, 0].clamp_(max=logits.shape[-1] - 1)
