"""The loss of a diffusion transformer: noise and variance at a random step of the process.

Shape legend: B batch, C channels, S side of what the network learns.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from dar_bench.api import Autoencoder
from dar_bench.data.pixel_range import from_uint8
from dar_bench.nn.diffusion_transformer import DiffusionTransformer
from dar_bench.sampling.diffusion import DiffusionProcess, noised
from dar_bench.training.diffusion_loss import hybrid_loss


class Frozen:
    """Holds the autoencoder of the loss; copies of the module share it, and no state dict knows it."""

    def __init__(self) -> None:
        self.autoencoder: Autoencoder | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Frozen:
        return self


class Denoising(nn.Module):
    """The hybrid loss of a diffusion transformer on pixels, or on latents of a frozen autoencoder."""

    def __init__(self, network: DiffusionTransformer, process: DiffusionProcess, pixel_scale: float = 1.0):
        super().__init__()
        self.pixel_scale = pixel_scale
        self.network = network
        self.process = process
        self.frozen = Frozen()

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean loss of a batch and its two terms.

        Args:
            batch: see ``NoisedImages``.
        """
        x0, t = self.clean(batch), batch["t"]
        x = noised(self.process, x0, t, batch["noise"])
        output = self.network(x, t, batch["label"])
        loss = hybrid_loss(self.process, x0, x, t, batch["noise"], output)
        return loss.total.mean(), {"mse": loss.mse.mean(), "bound": loss.bound.mean()}

    def clean(self, batch: dict[str, Tensor]) -> Tensor:
        """Return what noise is added to, float32 (B, C, S, S): scaled pixels, or points of the posteriors."""
        if self.frozen.autoencoder is None:
            return from_uint8(batch["image"]) * self.pixel_scale
        with torch.autocast(batch["image"].device.type, enabled=False):
            mean, deviation = self.frozen.autoencoder.moments(batch["image"])
        return torch.addcmul(mean, deviation, batch["spread"])
