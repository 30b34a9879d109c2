"""The port computes what the published code computed: network, process, sampling loops, loss.

One pass agrees to 1e-5 and a loop to 1e-4, both relative to the largest value: float32 sums in another order.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from dar_bench_dit.sample import FIRST_CHANNELS, guided_output
from torch import Tensor

from dar_bench.data.pixel_range import to_uint8
from dar_bench.nn.diffusion_transformer import DiffusionTransformer
from dar_bench.nn.sinusoids import place_sinusoids, time_sinusoid
from dar_bench.sampling.diffusion import (
    DiffusionProcess,
    ddim_step,
    ddpm_step,
    linear_process,
    noised,
    reverse_step,
)
from dar_bench.training.diffusion_loss import hybrid_loss

ONE_PASS = 1e-5
AFTER_A_LOOP = 1e-4
SCALE = 1.5
STEPS = 6

Goldens = dict[str, Tensor]


def assert_near(actual: Tensor, expected: Tensor, tolerance: float) -> None:
    assert actual.shape == expected.shape
    assert float((actual - expected).abs().max()) <= tolerance * float(expected.abs().max())


def test_network(golden_network: DiffusionTransformer, goldens: Goldens) -> None:
    output = golden_network(goldens["fwd.x"], goldens["fwd.t"], goldens["fwd.y"])
    assert_near(output, goldens["fwd.out"], ONE_PASS)


def test_place_table_and_time_embedding(golden_network: DiffusionTransformer, goldens: Goldens) -> None:
    assert_near(place_sinusoids(4, 4, 48)[None], goldens["sincos_pos_embed"], 1e-7)
    # Angles up to 1000 have a spacing of 6e-5 in float32, and exp() may round its last bit either way.
    assert_near(time_sinusoid(goldens["temb.t"], 256), goldens["temb.freq"], 1e-4)
    assert_near(golden_network.t_embedder(goldens["temb.t"]), goldens["temb.out"], ONE_PASS)


def test_guidance_acts_on_three_channels(golden_network: DiffusionTransformer, goldens: Goldens) -> None:
    x, time, labels = (goldens[f"cfg.{name}"][:2] for name in ("x", "t", "y"))
    output = guided_output(golden_network, x, time, labels, SCALE, FIRST_CHANNELS)
    assert_near(output, goldens["cfg.out"][:2], ONE_PASS)
    everywhere = guided_output(golden_network, x, time, labels, SCALE, 4)
    assert torch.equal(everywhere[:, :3], output[:, :3])
    assert not torch.allclose(everywhere[:, 3], output[:, 3], atol=1e-3)
    assert torch.equal(everywhere[:, 4:], output[:, 4:])


def test_respaced_process(goldens: Goldens) -> None:
    process = linear_process().respaced(STEPS)
    assert process.timesteps.tolist() == goldens["sched.timestep_map"].tolist()
    for name, ours in {
        "betas": process.betas,
        "alphas_cumprod": process.alphas_cumprod,
        "posterior_variance": process.posterior_variance,
        "posterior_log_variance_clipped": process.posterior_log_variance,
        "posterior_mean_coef1": process.posterior_x0_weight,
        "posterior_mean_coef2": process.posterior_xt_weight,
    }.items():
        assert_near(torch.from_numpy(ours), goldens[f"sched.{name}"], 1e-14)


def test_the_250_steps_of_the_published_numbers(goldens: Goldens) -> None:
    process = linear_process().respaced(250)
    assert process.timesteps.tolist() == goldens["sched250.timestep_map"].tolist()
    assert_near(torch.from_numpy(process.betas), goldens["sched250.betas"], 1e-14)


Step = Callable[[DiffusionProcess, Tensor, Tensor, Tensor, int], Tensor]


def loop(network: DiffusionTransformer, goldens: Goldens, step: Step) -> Tensor:
    """Sample as the published loop does, from its start."""
    process = linear_process().respaced(STEPS)
    x, labels = goldens["cfg.x"][:2], goldens["cfg.y"][:2]
    for done in range(STEPS):
        t = torch.full_like(labels, STEPS - 1 - done)
        time = torch.full_like(labels, int(process.timesteps[STEPS - 1 - done]))
        output = guided_output(network, x, time, labels, SCALE, FIRST_CHANNELS)
        x = step(process, x, t, output, done)
    return x


def test_ddpm_loop_with_the_recorded_noise(golden_network: DiffusionTransformer, goldens: Goldens) -> None:
    def step(process: DiffusionProcess, x: Tensor, t: Tensor, output: Tensor, done: int) -> Tensor:
        noise = goldens["ddpm.noise"][done][:2] if done < STEPS - 1 else None
        return ddpm_step(reverse_step(process, x, t, output), noise)

    assert_near(loop(golden_network, goldens, step), goldens["ddpm.latent_cond"], AFTER_A_LOOP)


def test_ddim_loop(golden_network: DiffusionTransformer, goldens: Goldens) -> None:
    def step(process: DiffusionProcess, x: Tensor, t: Tensor, output: Tensor, done: int) -> Tensor:
        return ddim_step(process, reverse_step(process, x, t, output), x, t)

    assert_near(loop(golden_network, goldens, step), goldens["ddim.latent"][:2], AFTER_A_LOOP)


def test_one_step_back(golden_network: DiffusionTransformer, goldens: Goldens) -> None:
    process = linear_process().respaced(STEPS)
    matches = []
    for position in range(STEPS):  # the fixture does not say which step it took; exactly one reproduces it
        t = torch.full((2,), position)
        time = torch.full((2,), int(process.timesteps[position]))
        output = guided_output(
            golden_network, goldens["cfg.x"][:2], time, goldens["cfg.y"][:2], SCALE, FIRST_CHANNELS
        )
        step = reverse_step(process, goldens["cfg.x"][:2], t, output)
        if torch.allclose(step.mean, goldens["pmv.mean"][:2], rtol=ONE_PASS, atol=ONE_PASS):
            matches.append(position)
            assert_near(step.log_variance, goldens["pmv.log_variance"][:2], ONE_PASS)
            assert_near(step.x0, goldens["pmv.pred_xstart"][:2], ONE_PASS)
    assert len(matches) == 1


def test_loss(golden_network: DiffusionTransformer, goldens: Goldens) -> None:
    process = linear_process()
    x0, noise, t = goldens["loss.x0"], goldens["loss.noise"], goldens["loss.t"]
    assert 0 in t.tolist(), "the likelihood of the first step is covered"
    x = noised(process, x0, t, noise)
    loss = hybrid_loss(process, x0, x, t, noise, golden_network(x, t, goldens["loss.y"]))
    for name, ours in {"mse": loss.mse, "vb": loss.bound, "total": loss.total}.items():
        assert_near(ours, goldens[f"loss.{name}"], ONE_PASS)


def test_pixels_are_cut_off_not_rounded(goldens: Goldens) -> None:
    assert to_uint8(goldens["pixel.in"]).tolist() == goldens["pixel.uint8"].tolist()


@pytest.mark.parametrize("count", [2, 250, 1000])
def test_the_bound_reaches_the_variance_alone(count: int) -> None:
    """The gradient of the bound's term stops at the noise: the mean learns from the squared error only."""
    process = linear_process().respaced(count)
    torch.manual_seed(count)
    x0, noise = torch.randn(2, 2, 4, 4).clamp(-1, 1), torch.randn(2, 2, 4, 4)
    t = torch.tensor([0, count - 1])
    output = torch.randn(2, 4, 4, 4, requires_grad=True)
    loss = hybrid_loss(process, x0, noised(process, x0, t, noise), t, noise, output)
    (gradient,) = torch.autograd.grad(loss.bound.sum(), output)
    assert not gradient[:, :2].any()
    assert gradient[:, 2:].any()
