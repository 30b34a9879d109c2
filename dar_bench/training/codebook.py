"""Loss terms and figures about how a tokenizer in training uses its codebook.

Shape legend: B images, N tokens, E code width, V codebook entries.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from dar_bench.training.distributed import gather_rows


def uniformity(latents: Tensor) -> Tensor:
    """Return ``log mean exp(-2 |a - b|^2)`` over pairs of images at each position, mean over positions (N).

    0 when all images share one direction, lower the more evenly they cover the sphere (Wang and Isola, 2020). A
    position whose code is the same for every image tells nothing about the image. Pairs reach over all processes.

    Args:
        latents: (B, N, E), any length.
    """
    with torch.autocast(latents.device.type, enabled=False):
        unit = F.normalize(latents.float(), dim=-1)
    z = gather_rows(unit).transpose(0, 1)  # (N, B, E)
    nearness = 4 * (z @ z.transpose(1, 2) - 1)  # -2 |a - b|^2 of unit vectors
    pairs = ~torch.eye(z.shape[1], dtype=torch.bool, device=z.device)
    return (nearness[:, pairs].logsumexp(1) - math.log(max(1, int(pairs.sum())))).mean()


def assignment_entropy(latents: Tensor, codebook: Tensor, temperature: float = 0.01) -> Tensor:
    """Return the mean entropy of every vector's soft assignment minus the entropy of the mean assignment, in nats.

    The soft assignment is the softmax over codes of ``-|z - e|^2 / temperature``. The value is near ``-log V`` where
    every vector is sure of its code and all codes are used alike, and 0 where all vectors share one assignment. The
    mean assignment is that of this process's batch (MaskGIT's term, offered by LlamaGen with weight 0).

    Args:
        latents: unit vectors (B, N, E).
        codebook: unit vectors (V, E).
    """
    with torch.autocast(latents.device.type, enabled=False):
        nearness = 2 * (latents.float().flatten(0, -2) @ codebook.float().T - 1)  # -|z - e|^2 of unit vectors
        logs = (nearness / temperature).log_softmax(dim=-1)
        each = -(logs.exp() * logs).sum(dim=-1).mean()
        mean = logs.exp().mean(dim=0)
        return each + (mean * mean.clamp(min=1e-20).log()).sum()


def distinct(codes: Tensor, codebook_size: int) -> Tensor:
    """Return the share of the codebook that occurs in ``codes``, 0-d; without waiting for the device."""
    hit = torch.zeros(codebook_size, device=codes.device)
    hit[codes.flatten()] = 1.0
    return hit.mean()
