"""Discrete Gaussian diffusion (DDPM) with a learned variance: the process, its respacing, one step back.

Sources: Ho et al. 2020 (arXiv 2006.11239, "DDPM"), Nichol and Dhariwal 2021 (arXiv 2102.09672, "iDDPM"), Song et al.
2020 (arXiv 2010.02502, "DDIM"). Coefficients are computed in float64 and used in float32.

Shape legend: T steps of the process, B samples, C channels, S side; ``t`` counts steps from 0 (least noise).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dar_bench.errors import UserError

Coefficients = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DiffusionProcess:
    """The noising process q and what follows from it.

    Attributes:
        betas: variance added in every step, float64 (T,).
        timesteps: what the network is told in every step, int64 (T,): the step's number in the process that the
            network was trained with.
    """

    betas: Coefficients
    timesteps: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.betas)

    @cached_property
    def alphas_cumprod(self) -> Coefficients:
        """Share of the signal's variance that is left after each step (DDPM, below equation 4)."""
        return np.cumprod(1.0 - self.betas, dtype=np.float64)

    @cached_property
    def alphas_cumprod_before(self) -> Coefficients:
        """The same before each step; 1 before the first."""
        return np.append(1.0, self.alphas_cumprod[:-1])

    @cached_property
    def posterior_variance(self) -> Coefficients:
        """Variance of q(x[t-1] | x[t], x0), DDPM equation 7; 0 at the first step."""
        return self.betas * (1.0 - self.alphas_cumprod_before) / (1.0 - self.alphas_cumprod)

    @cached_property
    def posterior_log_variance(self) -> Coefficients:
        """Its logarithm, where the second step's value (beta, without one) stands in for the first's minus infinity."""
        variance = self.posterior_variance
        first = variance[1] if len(self) > 1 else self.betas[0]
        logarithm: Coefficients = np.log(np.append(first, variance[1:]))
        return logarithm

    @cached_property
    def posterior_x0_weight(self) -> Coefficients:
        """Weight of x0 in the mean of q(x[t-1] | x[t], x0), DDPM equation 7."""
        return self.betas * np.sqrt(self.alphas_cumprod_before) / (1.0 - self.alphas_cumprod)

    @cached_property
    def posterior_xt_weight(self) -> Coefficients:
        """Weight of x[t] in the same mean."""
        return (1.0 - self.alphas_cumprod_before) * np.sqrt(1.0 - self.betas) / (1.0 - self.alphas_cumprod)

    def respaced(self, count: int) -> DiffusionProcess:
        """Return the process over ``count`` evenly spread steps of this one (iDDPM, section 4).

        Raises:
            UserError: fewer than 1 step, or more than this process has.
        """
        chosen = respaced_steps(len(self), count)
        kept = self.alphas_cumprod[chosen]
        betas = 1.0 - kept / np.append(1.0, kept[:-1])
        return DiffusionProcess(betas, self.timesteps[chosen])


def linear_process(steps: int = 1000, first: float = 1e-4, last: float = 0.02) -> DiffusionProcess:
    """Return DDPM's process: variances on a straight line (section 4 of the paper)."""
    return DiffusionProcess(np.linspace(first, last, steps), np.arange(steps))


def respaced_steps(total: int, count: int) -> npt.NDArray[np.int64]:
    """Return ``count`` steps out of ``total``, both ends included, int64 (count,).

    The fractional step is added up and rounded half to even, as the published samplers do it: other ways of
    rounding choose other steps.
    """
    if not 1 <= count <= total:
        raise UserError(
            f"{count} diffusion steps are out of range.",
            why=f"The model was trained with {total}.",
            hint=f"Give --steps from 1 to {total}.",
        )
    stride = (total - 1) / (count - 1) if count > 1 else 1.0
    chosen, position = [], 0.0
    for _ in range(count):
        chosen.append(round(position))
        position += stride
    return np.array(chosen, dtype=np.int64)


@dataclass(frozen=True)
class ReverseStep:
    """What the network makes of x[t].

    Attributes:
        x0: its estimate of the noiseless x, float32 (B, C, S, S).
        mean, log_variance: of the Gaussian that x[t-1] is drawn from.
    """

    x0: Tensor
    mean: Tensor
    log_variance: Tensor


def noised(process: DiffusionProcess, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    """Return x[t] of x0: the closed form of t steps of noising (DDPM, equation 4)."""
    signal = at(np.sqrt(process.alphas_cumprod), t, x0)
    return signal * x0 + at(np.sqrt(1.0 - process.alphas_cumprod), t, x0) * noise


def estimate_x0(process: DiffusionProcess, x: Tensor, t: Tensor, epsilon: Tensor) -> Tensor:
    """Return x0 from x[t] and the noise in it (DDPM, equation 15)."""
    inverse = 1.0 / process.alphas_cumprod
    return at(np.sqrt(inverse), t, x) * x - at(np.sqrt(inverse - 1.0), t, x) * epsilon


def posterior_mean(process: DiffusionProcess, x0: Tensor, x: Tensor, t: Tensor) -> Tensor:
    """Return the mean of q(x[t-1] | x[t], x0) (DDPM, equation 7)."""
    return at(process.posterior_x0_weight, t, x) * x0 + at(process.posterior_xt_weight, t, x) * x


def reverse_step(
    process: DiffusionProcess, x: Tensor, t: Tensor, output: Tensor, *, limit: float | None = None
) -> ReverseStep:
    """Return p(x[t-1] | x[t]) of a network that predicts noise and variance.

    Args:
        x: float32 (B, C, S, S).
        t: int64 (B,), steps of ``process``.
        output: float32 (B, 2 C, S, S): the noise, then v, which is nominally in [-1, 1] and places the log variance
            between that of the posterior (-1) and beta (1) (iDDPM, equation 15).
        limit: clamp the estimate of x0 to plus and minus so much, as is done with pixels; latents have no range.
    """
    epsilon, v = output.chunk(2, dim=1)
    fraction = (v + 1.0) / 2.0
    low, high = at(process.posterior_log_variance, t, x), at(np.log(process.betas), t, x)
    x0 = estimate_x0(process, x, t, epsilon)
    if limit is not None:
        x0 = x0.clamp(-limit, limit)
    return ReverseStep(
        x0=x0,
        mean=posterior_mean(process, x0, x, t),
        log_variance=fraction * high + (1.0 - fraction) * low,
    )


def ddpm_step(step: ReverseStep, noise: Tensor | None) -> Tensor:
    """Draw x[t-1]; the last step takes the mean, without ``noise`` (DDPM, algorithm 2)."""
    return step.mean if noise is None else step.mean + torch.exp(0.5 * step.log_variance) * noise


def ddim_step(process: DiffusionProcess, step: ReverseStep, x: Tensor, t: Tensor) -> Tensor:
    """Return x[t-1] without randomness: eta 0 (DDIM, equation 12)."""
    inverse = 1.0 / process.alphas_cumprod
    epsilon = (at(np.sqrt(inverse), t, x) * x - step.x0) / at(np.sqrt(inverse - 1.0), t, x)
    before = process.alphas_cumprod_before
    return at(np.sqrt(before), t, x) * step.x0 + at(np.sqrt(1.0 - before), t, x) * epsilon


def at(values: Coefficients, t: Tensor, like: Tensor) -> Tensor:
    """Return ``values[t]`` in float32, shaped to multiply ``like``: (B, 1, 1, 1)."""
    chosen = torch.from_numpy(values).to(like.device)[t].float()
    return chosen.view(-1, *(1 for _ in like.shape[1:]))
