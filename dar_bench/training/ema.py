"""The exponential moving average of a module's weights."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class Ema:
    """A second module that follows the first one: ``average = decay * average + (1 - decay) * weights``.

    Buffers and integer tensors are copied as they are. ``module`` is always in evaluation mode and takes no gradients.
    """

    def __init__(self, source: nn.Module):
        self.module = copy.deepcopy(source).requires_grad_(False).eval()
        self._averaged, self._weights = _pairs(self.module.parameters(), source.parameters())
        self._copies, self._buffers = _pairs(self.module.buffers(), source.buffers())

    @torch.no_grad()
    def update(self, decay: float) -> None:
        """Move the average one step towards the source's present weights."""
        if self._averaged:
            torch._foreach_lerp_(self._averaged, self._weights, 1.0 - decay)
        for own, theirs in zip(self._copies, self._buffers, strict=True):
            own.copy_(theirs)


def _pairs(own: object, theirs: object) -> tuple[list[Tensor], list[Tensor]]:
    return list(own), list(theirs)  # type: ignore[call-overload]
