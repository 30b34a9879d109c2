"""The diffusion process against Bayes' rule, and its samplers against data whose best network is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from dar_bench.errors import UserError
from dar_bench.sampling.diffusion import (
    DiffusionProcess,
    at,
    ddim_step,
    ddpm_step,
    estimate_x0,
    linear_process,
    noised,
    respaced_steps,
    reverse_step,
)

FLOAT32 = 1e-5
"""A handful of float32 operations on numbers near 1."""


def test_noising_step_by_step_is_noising_at_once() -> None:
    """The means multiply and the variances add up to the closed form of ``noised``."""
    process = linear_process(50)
    mean, variance = 1.0, 0.0
    one, t = torch.ones(1, 1, 1, 1), torch.tensor([0])
    for position, beta in enumerate(process.betas):
        mean, variance = mean * np.sqrt(1 - beta), variance * (1 - beta) + beta
        t[0] = position
        assert float(noised(process, one, t, 0 * one)) == pytest.approx(mean, rel=FLOAT32)
        assert float(noised(process, 0 * one, t, one)) == pytest.approx(np.sqrt(variance), rel=FLOAT32)


def test_posterior_is_bayes_rule() -> None:
    process = linear_process(50)
    alpha, before = 1 - process.betas[1:], process.alphas_cumprod_before[1:]
    prior_precision, likelihood_precision = 1 / (1 - before), alpha / process.betas[1:]
    variance = 1 / (prior_precision + likelihood_precision)
    np.testing.assert_allclose(process.posterior_variance[1:], variance, rtol=1e-10)
    np.testing.assert_allclose(
        process.posterior_x0_weight[1:], variance * prior_precision * np.sqrt(before), rtol=1e-10
    )
    np.testing.assert_allclose(
        process.posterior_xt_weight[1:], variance * likelihood_precision / np.sqrt(alpha), rtol=1e-10
    )
    assert process.posterior_x0_weight[0] == pytest.approx(1.0, rel=1e-10)  # 1 - (1 - beta) loses digits
    assert process.posterior_xt_weight[0] == 0.0
    assert process.posterior_log_variance[0] == process.posterior_log_variance[1]


@pytest.mark.parametrize("count", [1, 2, 7, 250, 999, 1000])
def test_respacing_keeps_the_noise_of_the_steps_that_stay(count: int) -> None:
    whole = linear_process()
    process = whole.respaced(count)
    assert len(process) == len(set(process.timesteps.tolist())) == count
    np.testing.assert_allclose(process.alphas_cumprod, whole.alphas_cumprod[process.timesteps], rtol=1e-12)
    if count > 1:
        assert process.timesteps[[0, -1]].tolist() == [0, 999]
    assert np.isfinite(process.posterior_log_variance).all()


@pytest.mark.parametrize("count", [0, 1001, -3])
def test_impossible_numbers_of_steps_are_refused(count: int) -> None:
    with pytest.raises(UserError, match=r"diffusion steps are out of range.*Give --steps from 1 to 1000"):
        respaced_steps(1000, count)


@pytest.mark.parametrize("steps", [1, 3, 50])
def test_ddim_walks_straight_to_the_only_image(steps: int) -> None:
    """Where all data are one image, the noise is known exactly, and any number of steps ends at the image."""
    process = linear_process().respaced(steps)
    torch.manual_seed(0)
    image, x = torch.rand(2, 3, 4, 4) * 2 - 1, torch.randn(2, 3, 4, 4)
    for position in reversed(range(steps)):
        t = torch.full((2,), position)
        signal, spread = (
            at(values, t, x) for values in (process.alphas_cumprod**0.5, (1 - process.alphas_cumprod) ** 0.5)
        )
        epsilon = (x - signal * image) / spread
        x = ddim_step(
            process, reverse_step(process, x, t, torch.cat([epsilon, torch.zeros_like(x)], 1)), x, t
        )
    assert float((x - image).abs().max()) < 1e-4  # float32, up to 50 steps with factors up to 150


def test_ddpm_with_the_right_variance_samples_gaussian_data() -> None:
    """For data N(0, 0.25) the best noise estimate and the true variance of a step back are known: the chain's end has
    the variance of the data. The start, N(0, 1), is off by the signal left after 1000 steps, 4e-5 of the variance.
    """
    process, data = linear_process(), 0.25
    variance = 1.0
    for position in reversed(range(len(process))):
        weight, spread = optimal_step(process, position, data)
        variance = weight**2 * variance + spread
    assert variance == pytest.approx(data, rel=1e-3)


def optimal_step(process: DiffusionProcess, position: int, data: float) -> tuple[float, float]:
    """Return what x[t] is multiplied by, and the variance added, by one step with the best possible network."""
    abar = process.alphas_cumprod[position]
    marginal = abar * data + 1 - abar
    left = data * (1 - abar) / marginal  # variance of x0 given x[t]
    true_variance = process.posterior_variance[position] + process.posterior_x0_weight[position] ** 2 * left
    low, high = process.posterior_log_variance[position], np.log(process.betas[position])
    v = 2 * (np.log(true_variance) - low) / (high - low) - 1 if high > low else 0.0
    x = torch.ones(1, 1, 1, 1)
    output = torch.tensor([np.sqrt(1 - abar) / marginal, v], dtype=torch.float32).view(1, 2, 1, 1)
    step = reverse_step(process, x, torch.tensor([position]), output)
    if position == 0:
        return float(step.mean), float(true_variance)
    drawn = ddpm_step(step, torch.ones(1, 1, 1, 1)) - ddpm_step(step, None)
    return float(step.mean), float(drawn) ** 2


def test_the_variance_output_reaches_from_the_posteriors_to_beta() -> None:
    process = linear_process().respaced(10)
    x, t = torch.zeros(1, 1, 1, 1), torch.tensor([4])

    def log_variance(v: float) -> float:
        output = torch.tensor([0.0, v]).view(1, 2, 1, 1)
        return float(reverse_step(process, x, t, output).log_variance)

    assert log_variance(-1.0) == pytest.approx(process.posterior_log_variance[4], rel=FLOAT32)
    assert log_variance(1.0) == pytest.approx(np.log(process.betas[4]), rel=FLOAT32)
    assert log_variance(0.0) == pytest.approx((log_variance(-1.0) + log_variance(1.0)) / 2, rel=FLOAT32)


def test_the_noise_gives_the_image_back() -> None:
    process = linear_process()
    torch.manual_seed(0)
    image, noise = torch.rand(3, 2, 4, 4), torch.randn(3, 2, 4, 4)
    t = torch.tensor([0, 300, 600])
    found: Tensor = estimate_x0(process, noised(process, image, t, noise), t, noise)
    assert float((found - image).abs().max()) < 1e-4  # the signal of step 600 is a sixth of the noise


def test_a_limit_holds_the_estimate_and_the_mean_that_follows_from_it() -> None:
    process = linear_process().respaced(10)
    torch.manual_seed(0)
    x, output, t = torch.randn(1, 1, 4, 4), torch.randn(1, 2, 4, 4), torch.tensor([6])
    free, held = reverse_step(process, x, t, output), reverse_step(process, x, t, output, limit=0.5)
    assert torch.equal(held.x0, free.x0.clamp(-0.5, 0.5))
    assert float(free.x0.abs().max()) > 0.5
    weight = at(process.posterior_x0_weight, t, x)
    torch.testing.assert_close(free.mean - held.mean, weight * (free.x0 - held.x0), rtol=1e-4, atol=1e-6)
    assert torch.equal(held.log_variance, free.log_variance)
