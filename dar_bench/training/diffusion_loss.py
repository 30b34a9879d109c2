"""The hybrid loss of diffusion with a learned variance (iDDPM, arXiv 2102.09672, section 3.1).

The mean squared error of the noise teaches the mean; the variational bound, with the mean held fixed, teaches the
variance. DiT takes the sum with weight 1 for both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dar_bench.sampling.diffusion import (
    DiffusionProcess,
    at,
    posterior_mean,
    reverse_step,
)

HALF_LEVEL = 1.0 / 255.0
"""Half the distance of neighbouring levels of 8-bit values scaled to [-1, 1]."""


@dataclass(frozen=True)
class HybridLoss:
    """Per sample, float32 (B,): ``mse`` of the noise and ``bound`` in bits per dimension."""

    mse: Tensor
    bound: Tensor

    @property
    def total(self) -> Tensor:
        """Their sum."""
        return self.mse + self.bound


def hybrid_loss(
    process: DiffusionProcess, x0: Tensor, x: Tensor, t: Tensor, noise: Tensor, output: Tensor
) -> HybridLoss:
    """Return the loss of a network's ``output`` (B, 2 C, S, S) for ``x = noised(process, x0, t, noise)``.

    Args:
        process: the full process of the training.
        x0, x, noise: float32 (B, C, S, S).
        t: int64 (B,).
    """
    output = output.float()
    epsilon, variance = output.chunk(2, dim=1)
    held = torch.cat([epsilon.detach(), variance], dim=1)
    return HybridLoss(
        mse=(epsilon - noise).square().flatten(1).mean(1), bound=bound_term(process, x0, x, t, held)
    )


def bound_term(process: DiffusionProcess, x0: Tensor, x: Tensor, t: Tensor, output: Tensor) -> Tensor:
    """Return the t-th term of the variational bound in bits per dimension, (B,) (iDDPM, equations 4 to 6).

    For t > 0 it is KL(q(x[t-1] | x[t], x0) || p(x[t-1] | x[t])), for t = 0 the negative log likelihood of x0 as
    8-bit levels.
    """
    step = reverse_step(process, x, t, output)
    divergence = gaussian_kl(
        posterior_mean(process, x0, x, t),
        at(process.posterior_log_variance, t, x),
        step.mean,
        step.log_variance,
    )
    likelihood = level_log_likelihood(x0, step.mean, 0.5 * step.log_variance)
    nats = torch.where(t == 0, -likelihood.flatten(1).mean(1), divergence.flatten(1).mean(1))
    return nats / math.log(2.0)


def gaussian_kl(mean: Tensor, log_variance: Tensor, other_mean: Tensor, other_log_variance: Tensor) -> Tensor:
    """Return KL(N(mean, exp(log_variance)) || N(other..)) elementwise, in nats."""
    return 0.5 * (
        other_log_variance
        - log_variance
        - 1.0
        + torch.exp(log_variance - other_log_variance)
        + (mean - other_mean).square() * torch.exp(-other_log_variance)
    )


def level_log_likelihood(x: Tensor, mean: Tensor, log_deviation: Tensor) -> Tensor:
    """Return the log probability of 8-bit levels ``x`` in [-1, 1] under a Gaussian (DDPM, equation 13).

    A level owns the interval half-way to its neighbours, the outermost ones everything beyond them.
    """
    inverse = torch.exp(-log_deviation)
    upper = _normal_cdf((x - mean + HALF_LEVEL) * inverse)
    lower = _normal_cdf((x - mean - HALF_LEVEL) * inverse)
    upper = torch.where(x > 0.999, torch.ones_like(upper), upper)
    lower = torch.where(x < -0.999, torch.zeros_like(lower), lower)
    return torch.log((upper - lower).clamp(min=1e-12))


def _normal_cdf(x: Tensor) -> Tensor:
    """The tanh approximation that the published loss uses."""
    return 0.5 * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))
