"""Temperature, top-k, top-p and the draw."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy import stats

from dar_bench.api import SampleKeys
from dar_bench.sampling.filters import draw, filter_logits, gumbels
from dar_bench.sampling.randomness import words

# What LlamaGen's published sampler makes of random logits (4, 64).
GOLDENS = load_file(Path(__file__).parent / "goldens" / "filters.safetensors")


@pytest.mark.parametrize(
    ("golden", "top_k", "top_p"),
    [("filtered_topk", 8, 1.0), ("filtered_topp", 0, 0.8), ("filtered_both", 8, 0.8)],
)
def test_filters_agree_with_the_published_sampler(golden: str, top_k: int, top_p: float) -> None:
    filtered = filter_logits(GOLDENS["filter_logits"], top_k=top_k, top_p=top_p)
    assert torch.equal(filtered, GOLDENS[golden])


def kept(probabilities: list[float], **options: float) -> list[int]:
    filtered = filter_logits(torch.tensor([probabilities]).log(), **options)  # type: ignore[arg-type]
    return torch.isfinite(filtered[0]).nonzero().flatten().tolist()


def test_top_p_keeps_the_entry_that_crosses() -> None:
    probabilities = [0.05, 0.5, 0.15, 0.3]
    assert kept(probabilities, top_p=0.45) == [1]
    assert kept(probabilities, top_p=0.55) == [1, 3]
    assert kept(probabilities, top_p=0.85) == [1, 2, 3]
    assert kept(probabilities, top_p=0.99) == [0, 1, 2, 3]


def test_top_k_keeps_ties_and_zero_keeps_all() -> None:
    probabilities = [0.2, 0.2, 0.5, 0.1]
    assert kept(probabilities, top_k=1) == [2]
    assert kept(probabilities, top_k=2) == [0, 1, 2]
    assert kept(probabilities, top_k=0) == kept(probabilities, top_k=9) == [0, 1, 2, 3]


def test_temperature_comes_before_top_p() -> None:
    # At temperature 0.5 the odds 0.6 : 0.3 : 0.1 become 0.36 : 0.09 : 0.01, so that 0.7 is crossed at once.
    assert kept([0.6, 0.3, 0.1], top_p=0.7) == [0, 1]
    assert kept([0.6, 0.3, 0.1], top_p=0.7, temperature=0.5) == [0]


def splitmix64(state: int) -> Iterator[int]:
    """The generator as published, on Python's integers."""
    while True:
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
        yield z ^ (z >> 31)


def test_gumbels_come_from_splitmix64() -> None:
    assert next(splitmix64(1234567)) == 6457827717110365317  # the generator's usual test vector
    seeds = [0, 1234567, 2**63, 2**64 - 1]
    values = gumbels(torch.from_numpy(np.array(seeds, dtype=np.uint64).view(np.int64)), 5)
    for row, seed in enumerate(seeds):
        expected = []
        for output in itertools.islice(splitmix64(seed), 5):
            unit = ((output >> 12) + 0.5) * 2.0**-52
            expected.append(-math.log(-math.log(unit)))
        np.testing.assert_allclose(values[row].numpy(), expected, rtol=1e-13)


def states(count: int) -> torch.Tensor:
    drawn = words(SampleKeys(seed=3, indices=tuple(range(100))), "tokens", count // 100)
    return torch.from_numpy(drawn.view(np.int64)).flatten()


def test_draw_never_takes_what_was_filtered_out() -> None:
    logits = filter_logits(torch.randn(3, 50, generator=torch.Generator().manual_seed(0)), top_k=5)
    logits = logits.repeat_interleave(1000, dim=0)
    tokens = draw(logits, states(3000))
    assert torch.isfinite(logits.gather(1, tokens[:, None])).all()


def test_draws_follow_the_softmax() -> None:
    logits = torch.randn(1, 20, generator=torch.Generator().manual_seed(1))
    tokens = draw(logits.expand(20000, -1), states(20000))
    expected = logits.double().softmax(-1)[0].numpy() * 20000
    assert stats.chisquare(np.bincount(tokens.numpy(), minlength=20), expected).pvalue > 0.01


def test_rounding_errors_turn_few_draws() -> None:
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(1000, 1024, generator=generator)
    error = 1e-3 * torch.randn(1000, 1024, generator=generator)
    turned = (draw(logits, states(1000)) != draw(logits + error, states(1000))).double().mean()
    # Expected is about the size of the error; an inverted cumulative distribution turns dozens of times that.
    assert turned < 0.01
