"""Sampling: what a sample depends on, what guidance costs, what is refused."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from dar_bench_dit.cards import DIT_TINY, DIT_XL_2
from dar_bench_dit.sample import DitGenerator, preview_steps
from torch import Tensor

from dar_bench.api import GeneratedBatch, GeneratorCard, SampleKeys
from dar_bench.errors import UserError
from dar_bench.nn.diffusion_transformer import DiffusionTransformer
from dar_bench.options import parse_options

PIXEL_CARD = dataclasses.replace(DIT_TINY, num_classes=5)
LATENT_CARD = dataclasses.replace(DIT_XL_2, num_classes=10)


def options(card: GeneratorCard = PIXEL_CARD, **texts: str) -> dict[str, Any]:
    given = {name.replace("_", "-"): text for name, text in texts.items()}
    return parse_options(card, {"steps": "5", "cfg": "2.0", **given})


def keys(*indices: int, seed: int = 3) -> SampleKeys:
    return SampleKeys(seed=seed, indices=indices)


def final(generator: DitGenerator, labels: list[int], which: SampleKeys, opts: dict[str, Any]) -> Tensor:
    *_, x = generator.denoise(torch.tensor(labels), which, opts)
    return x


@pytest.fixture
def generator(pixel_network: DiffusionTransformer) -> DitGenerator:
    return DitGenerator(PIXEL_CARD, pixel_network)


class Rows:
    """Counts how many images a network sees in each call."""

    def __init__(self, network: DiffusionTransformer):
        self.seen: list[int] = []
        self.hook = network.register_forward_pre_hook(lambda module, inputs: self.seen.append(len(inputs[0])))


@pytest.fixture
def rows(pixel_network: DiffusionTransformer) -> Iterator[Rows]:
    counter = Rows(pixel_network)
    yield counter
    counter.hook.remove()


@pytest.mark.parametrize("solver", ["ddpm", "ddim"])
@pytest.mark.parametrize("cfg", ["none", "2.0", "interval:3.0:0.2-0.6"])
def test_a_sample_is_the_same_in_any_company(generator: DitGenerator, solver: str, cfg: str) -> None:
    opts = options(solver=solver, cfg=cfg)
    together = final(generator, [0, 1, 2, 3, 4, 0, 1], keys(*range(7)), opts)
    alone = [final(generator, [i % 5], keys(i), opts)[0] for i in range(7)]
    turned = final(generator, [1, 4, 2], keys(6, 4, 2), opts)
    # Matrix products of other sizes round in another order: float32, five passes, estimates up to ten or so.
    tolerance = 1e-4 * float(together.abs().max())
    for index, sample in enumerate(alone):
        assert float((sample - together[index]).abs().max()) < tolerance
    for position, index in enumerate((6, 4, 2)):
        assert float((turned[position] - together[index]).abs().max()) < tolerance
    assert not torch.allclose(together[0], together[5], atol=0.1), "same class, another sample"


def test_seed_and_solver_count(generator: DitGenerator) -> None:
    def ddpm(seed: int) -> Tensor:
        return final(generator, [1], keys(0, seed=seed), options(solver="ddpm"))

    assert torch.equal(ddpm(1), ddpm(1))
    assert not torch.allclose(ddpm(1), ddpm(2), atol=0.1)
    ddim = final(generator, [1], keys(0, seed=1), options(solver="ddim"))
    assert not torch.allclose(ddpm(1), ddim, atol=0.1)


def test_scale_one_is_the_conditional_network_and_costs_one_pass(generator: DitGenerator, rows: Rows) -> None:
    plain = final(generator, [1, 2], keys(0, 1), options(cfg="none"))
    assert rows.seen == [2] * 5
    one = final(generator, [1, 2], keys(0, 1), options(cfg="1.0"))
    assert rows.seen == [2] * 10
    assert torch.equal(plain, one)


def test_an_interval_costs_two_passes_inside_it_only(generator: DitGenerator, rows: Rows) -> None:
    final(generator, [1, 2], keys(0, 1), options(cfg="interval:3.0:0.2-0.6"))
    assert rows.seen == [2, 4, 4, 2, 2]


def test_the_schedule_runs_along_the_steps(generator: DitGenerator) -> None:
    rising = final(generator, [1], keys(0), options(cfg="linear:1.0-5.0"))
    falling = final(generator, [1], keys(0), options(cfg="linear:5.0-1.0"))
    assert not torch.allclose(rising, falling, atol=1e-3)
    constant = final(generator, [1], keys(0), options(cfg="linear:2.0-2.0"))
    assert torch.equal(constant, final(generator, [1], keys(0), options(cfg="2.0")))


def test_previews_lead_to_the_same_images(generator: DitGenerator) -> None:
    opts = options(steps="20")
    labels = torch.tensor([0, 3])
    batches = list(generator.generate(labels, keys(0, 1), opts, previews=True))
    assert [batch.groups_done for batch in batches] == [2, 5, 8, 10, 12, 15, 18, 20]
    assert {batch.unit for batch in batches} == {"step"}
    assert [batch.final for batch in batches] == [False] * 7 + [True]
    (alone,) = generator.generate(labels, keys(0, 1), opts)
    assert torch.equal(batches[-1].images, alone.images)
    assert not torch.equal(batches[0].images, alone.images)
    assert alone.images.dtype == torch.uint8
    assert alone.images.shape == (2, 3, 8, 8)
    assert alone.codes is None


def test_preview_steps() -> None:
    assert preview_steps(1) == {1}
    assert preview_steps(3) == {1, 2, 3}
    assert max(preview_steps(250)) == 250
    assert len(preview_steps(250)) == 8


class Halves:
    """Stands in for an autoencoder: latents of any kind become grey images, and are kept."""

    def __init__(self) -> None:
        self.latents: list[Tensor] = []

    def decode(self, latents: Tensor) -> Tensor:
        self.latents.append(latents)
        return torch.full((len(latents), 3, 16, 16), 128, dtype=torch.uint8)


def test_latents_are_decoded_previews_and_all(golden_network: DiffusionTransformer) -> None:
    decoder = Halves()
    generator = DitGenerator(LATENT_CARD, golden_network, decoder)  # type: ignore[arg-type]
    opts = options(LATENT_CARD, steps="3")
    batches: list[GeneratedBatch] = list(generator.generate(torch.tensor([7]), keys(0), opts, previews=True))
    assert [batch.images.shape for batch in batches] == [(1, 3, 16, 16)] * 3
    estimates = list(generator.denoise(torch.tensor([7]), keys(0), opts))
    assert all(torch.equal(a, b) for a, b in zip(decoder.latents, estimates, strict=True))


def test_guiding_all_channels_is_another_model(golden_network: DiffusionTransformer) -> None:
    generator = DitGenerator(LATENT_CARD, golden_network)
    three = final(generator, [7], keys(0), options(LATENT_CARD))
    every = final(generator, [7], keys(0), options(LATENT_CARD, guided_channels="all"))
    assert not torch.allclose(three, every, atol=1e-3)


def test_bfloat16_is_near_float32(pixel_network: DiffusionTransformer) -> None:
    opts = options(solver="ddim", steps="3", cfg="none")
    rounded = copy.deepcopy(pixel_network).to(torch.bfloat16)
    exact = final(DitGenerator(PIXEL_CARD, pixel_network), [1, 2], keys(0, 1), opts)
    near = final(DitGenerator(PIXEL_CARD, rounded), [1, 2], keys(0, 1), opts)
    assert near.dtype == torch.float32
    # bfloat16 keeps 8 bits; the first step back multiplies the noise's error by 150.
    assert float((near - exact).abs().mean()) < 0.05 * float(exact.abs().mean())


def test_what_cannot_be_is_refused(generator: DitGenerator) -> None:
    labels = torch.tensor([1])
    with pytest.raises(UserError, match="has no codes"):
        next(generator.generate(labels, keys(0), options(), prefix=torch.zeros(1, 2, dtype=torch.int64)))
    with pytest.raises(UserError, match="Label 5 is out of range"):
        next(generator.generate(torch.tensor([5]), keys(0), options()))
    with pytest.raises(UserError, match="must be from 1 to 1000"):
        options(steps="1001")
    with pytest.raises(UserError, match="has no option 'temperature'"):
        options(temperature="0.5")
    with pytest.raises(UserError, match="has no option 'guided-channels'"):
        options(guided_channels="all")


def test_broken_weights_are_told(pixel_network: DiffusionTransformer) -> None:
    broken = copy.deepcopy(pixel_network)
    broken.final_layer.linear.bias.fill_(float("nan"))
    with pytest.raises(UserError, match="NaN or infinite values at step 1"):
        next(DitGenerator(PIXEL_CARD, broken).generate(torch.tensor([1]), keys(0), options()))
