"""The exponential moving average of a module's weights."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class Ema:
    """A second module that follows the first one: ``average = decay * average + (1 - decay) * weights``.

    Buffers and integer tensors are copied as they are. ``module`` is always in evaluation mode and takes no
    gradients.
    """

    def __init__(self, source: nn.Module):
        self._source = source
        self.module = copy.deepcopy(source).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, decay: float) -> None:
        """Move the average one step towards the source's present weights."""
        # Asked for anew every time: preparing a module for several processes replaces its buffers.
        averaged: list[Tensor] = [*self.module.parameters()]
        weights: list[Tensor] = [*self._source.parameters()]
        if averaged:
            torch._foreach_lerp_(averaged, weights, 1.0 - decay)
        for own, theirs in zip(self.module.buffers(), self._source.buffers(), strict=True):
            own.copy_(theirs)
