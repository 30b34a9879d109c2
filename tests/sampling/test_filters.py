"""Temperature, top-k, top-p and the draw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy import stats

from dar_bench.api import SampleKeys
from dar_bench.sampling.filters import draw, filter_logits
from dar_bench.sampling.randomness import uniforms

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


def test_draw_inverts_the_cumulative_distribution() -> None:
    logits = torch.tensor([[0.0, 0.25, 0.0, 0.5, 0.25, 0.0]]).log().repeat(7, 1)
    uniform = torch.tensor([1e-300, 0.2499, 0.2501, 0.7499, 0.7501, 0.99, 1.0], dtype=torch.float64)
    assert draw(logits, uniform).tolist() == [1, 1, 3, 3, 4, 4, 4]


def test_draw_never_takes_what_was_filtered_out() -> None:
    logits = filter_logits(torch.randn(3, 50, generator=torch.Generator().manual_seed(0)), top_k=5)
    logits = logits.repeat_interleave(1000, dim=0)
    tokens = draw(logits, torch.linspace(1e-12, 1.0, 3000, dtype=torch.float64))
    assert torch.isfinite(logits.gather(1, tokens[:, None])).all()


def test_draws_follow_the_softmax() -> None:
    logits = torch.randn(1, 20, generator=torch.Generator().manual_seed(1))
    unit = uniforms(SampleKeys(seed=3, indices=tuple(range(100))), "tokens", 200).ravel()
    tokens = draw(logits.expand(len(unit), -1), torch.from_numpy(unit))
    expected = logits.double().softmax(-1)[0].numpy() * len(unit)
    counts = np.bincount(tokens.numpy(), minlength=20)
    assert stats.chisquare(counts, expected).pvalue > 0.01
