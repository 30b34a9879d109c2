"""The loss against torch's own distributions, and against what probabilities must add up to."""

from __future__ import annotations

import math

import torch
from torch.distributions import Normal, kl_divergence

from dar_bench.sampling.diffusion import at, linear_process, noised
from dar_bench.training.diffusion_loss import bound_term, gaussian_kl, hybrid_loss, level_log_likelihood


def test_divergence_is_torchs() -> None:
    torch.manual_seed(0)
    mean, log_variance, other_mean, other_log_variance = torch.randn(4, 100, dtype=torch.float64)
    expected = kl_divergence(
        Normal(mean, torch.exp(0.5 * log_variance)), Normal(other_mean, torch.exp(0.5 * other_log_variance))
    )
    torch.testing.assert_close(gaussian_kl(mean, log_variance, other_mean, other_log_variance), expected)


def test_the_levels_share_out_all_probability() -> None:
    levels = torch.arange(256, dtype=torch.float64) / 127.5 - 1
    for mean, deviation in ((0.0, 0.3), (-1.2, 0.05), (0.7, 2.0)):
        logs = level_log_likelihood(levels, torch.tensor(mean), torch.tensor(math.log(deviation)))
        # Levels beyond reach are held at 1e-12 each.
        assert abs(float(logs.exp().sum()) - 1) < 1e-9
    middle = level_log_likelihood(levels[100], torch.tensor(0.0), torch.tensor(math.log(0.3)))
    exact = Normal(0.0, 0.3).log_prob(levels[100]) + math.log(2 / 255)
    assert (
        abs(float(middle - exact)) < 2e-3
    )  # the published loss approximates the normal distribution by tanh


def test_the_bound_of_a_perfect_estimate_is_the_variances_alone() -> None:
    """With the true noise the means agree; with v = -1 the variances do too, and nothing is left but rounding."""
    process = linear_process()
    torch.manual_seed(0)
    x0, noise = torch.rand(3, 2, 4, 4) * 2 - 1, torch.randn(3, 2, 4, 4)
    t = torch.tensor([5, 400, 999])
    x = noised(process, x0, t, noise)
    perfect = bound_term(process, x0, x, t, torch.cat([noise, -torch.ones_like(noise)], 1))
    assert float(perfect.abs().max()) < 1e-4
    wide = bound_term(process, x0, x, t, torch.cat([noise, torch.ones_like(noise)], 1))
    low, high = (
        at(values, t, x).flatten()
        for values in (process.posterior_log_variance, torch.from_numpy(process.betas).log().numpy())
    )
    expected = 0.5 * (high - low - 1 + torch.exp(low - high)) / math.log(2)
    torch.testing.assert_close(wide, expected, rtol=1e-3, atol=1e-4)


def test_the_terms_add_up_per_sample() -> None:
    process = linear_process()
    torch.manual_seed(0)
    x0, noise, output = torch.randn(2, 1, 4, 4), torch.randn(2, 1, 4, 4), torch.randn(2, 2, 4, 4)
    t = torch.tensor([3, 500])
    x = noised(process, x0, t, noise)
    loss = hybrid_loss(process, x0, x, t, noise, output)
    torch.testing.assert_close(loss.mse, (output[:, :1] - noise).square().mean((1, 2, 3)))
    torch.testing.assert_close(loss.bound, bound_term(process, x0, x, t, output))
    torch.testing.assert_close(loss.total, loss.mse + loss.bound)
