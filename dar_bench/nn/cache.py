"""The static key/value cache of a decoder.

Shapes: B sequences, H heads, L positions of capacity, D channels of a head, n tokens read at once.
"""

from __future__ import annotations

from typing import Self

import torch

_ALIGNMENT = 8  # Fused attention kernels want key lengths that are multiples of 8; the surplus is masked.


class KVCache:
    """Keys and values of all layers, allocated once, in the network's type and on its device.

    The cache does not know how much of it is filled: the reader says at which position it writes, and
    whatever lies behind is masked. So positions can be read again, and batches can be halved and rejoined.

    Args:
        layers: number of attention layers.
        batch: B.
        heads: H.
        positions: how many positions are needed; capacity L is this rounded up to a multiple of 8.
        head_dim: D.
        dtype, device: of the network.
        attend_prefix: how a single step reads the cache. True: only the filled prefix, whose length changes
            with every step; least work, right for eager CPU. False: all L positions under a mask made from
            the position tensor; no shape depends on the position, so one compiled program or CUDA graph
            serves every step, and no device synchronisation is needed to learn the position.
    """

    def __init__(
        self,
        *,
        layers: int,
        batch: int,
        heads: int,
        positions: int,
        head_dim: int,
        dtype: torch.dtype,
        device: torch.device | str,
        attend_prefix: bool,
    ):
        capacity = -(-positions // _ALIGNMENT) * _ALIGNMENT
        # Zeros, not uninitialised memory: a masked NaN would still poison the weighted sum. One tensor per
        # layer and kind: compilers turn a write into a slice of one big tensor into a copy of all of it.
        shape = (batch, heads, capacity, head_dim)
        self.keys = [torch.zeros(shape, dtype=dtype, device=device) for _ in range(layers)]
        self.values = [torch.zeros(shape, dtype=dtype, device=device) for _ in range(layers)]
        self.slots = torch.arange(capacity, device=device)
        self.attend_prefix = attend_prefix

    @property
    def batch(self) -> int:
        """Number of sequences B."""
        return self.keys[0].shape[0]

    @property
    def capacity(self) -> int:
        """Number of positions L."""
        return self.keys[0].shape[2]

    def rows(self, start: int, stop: int) -> Self:
        """Return the cache of sequences ``start`` to ``stop - 1``, sharing memory with this one."""
        view = type(self).__new__(type(self))
        view.keys = [keys[start:stop] for keys in self.keys]
        view.values = [values[start:stop] for values in self.values]
        view.slots = self.slots
        view.attend_prefix = self.attend_prefix
        return view

    def write_step(
        self, layer: int, position: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store one position (keys and values (B, H, 1, D)) and return what a step attends to.

        Args:
            position: int64, 0-d.

        Returns:
            Keys and values (B, H, L, D), or (B, H, position + 1, D) under ``attend_prefix``.
        """
        if self.attend_prefix:
            return self.write_span(layer, int(position), keys, values)
        where = position.reshape(1)
        self.keys[layer].index_copy_(2, where, keys)
        self.values[layer].index_copy_(2, where, values)
        return self.keys[layer], self.values[layer]

    def step_mask(self, position: torch.Tensor) -> torch.Tensor | None:
        """Return a step's mask (1, L), True up to ``position``; None under ``attend_prefix``."""
        return None if self.attend_prefix else (self.slots <= position)[None]

    def write_span(
        self, layer: int, start: int, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store keys and values (B, H, n, D) from position ``start`` on; return the filled prefix of both."""
        stop = start + keys.shape[2]
        all_keys, all_values = self.keys[layer], self.values[layer]
        all_keys[:, :, start:stop] = keys
        all_values[:, :, start:stop] = values
        return all_keys[:, :, :stop], all_values[:, :, :stop]

    def span_mask(self, start: int, count: int) -> torch.Tensor | None:
        """Return the causal mask (count, start + count) of reading ``count`` tokens from ``start`` on.

        From position 0 on there is none: attention kernels know that triangle by themselves.
        """
        if start == 0:
            return None
        stop = start + count
        return self.slots[:stop][None] <= self.slots[start:stop][:, None]
