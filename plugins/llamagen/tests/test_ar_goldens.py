"""The autoregressive model against numbers that the published code gave for small random weights."""

from __future__ import annotations

import pytest
import torch
from dar_bench_llamagen.model.ar import build_ar

from dar_bench.api import SampleKeys
from dar_bench.errors import UserError
from dar_bench.nn.llama import Llama, LlamaConfig
from dar_bench.nn.rotary import grid_rotary_table
from dar_bench.sampling.engine import generate_tokens
from dar_bench.sampling.filters import filter_logits
from dar_bench.sampling.guidance import parse_schedule
from dar_bench.training.next_token import NextToken

IO = dict[str, torch.Tensor]


def test_rotary_table(ar_io: IO) -> None:
    table = grid_rotary_table(4, 32)
    # Cosines and sines of equal float32 angles; libraries differ by a rounding.
    torch.testing.assert_close(table, ar_io["rope_table"], rtol=0.0, atol=1e-6)
    assert not table[0].any()


def test_teacher_forced_logits(golden_network: Llama, ar_io: IO) -> None:
    tokens, classes = ar_io["tokens"][:, :-1], ar_io["classes"]
    scale = float(ar_io["logits"].abs().max())
    logits = golden_network(tokens, classes)
    torch.testing.assert_close(logits, ar_io["logits"], rtol=0.0, atol=1e-5 * scale)
    dropped = golden_network(tokens, torch.full_like(classes, golden_network.null_label))
    torch.testing.assert_close(dropped, ar_io["logits_uncond"], rtol=0.0, atol=1e-5 * scale)


def test_loss(golden_network: Llama, ar_io: IO) -> None:
    loss, _ = NextToken(golden_network)({"codes": ar_io["tokens"], "label": ar_io["classes"]})
    assert float(loss) == pytest.approx(float(ar_io["loss"]), rel=1e-6)


@pytest.mark.parametrize(
    ("golden", "schedule"),
    [
        ("1.0", "none"),
        ("2.0", "2.0"),
        ("4.0", "4.0"),
        # Guided for the first token and decode steps 0 to 5, which make tokens 0 to 6 of 16.
        ("4.0_interval5", "interval:4.0:0.0-0.4375"),
    ],
)
def test_greedy_tokens(golden_network: Llama, ar_io: IO, golden: str, schedule: str) -> None:
    keys = SampleKeys(seed=0, indices=(0, 1))
    groups = generate_tokens(
        golden_network,
        ar_io["classes"],
        keys,
        schedule=parse_schedule(schedule),
        temperature=0.0,
        group=16,
    )
    assert torch.equal(torch.cat(list(groups), dim=1), ar_io[f"greedy_cfg{golden}"])


@pytest.mark.parametrize(
    ("golden", "options"),
    [("topk", {"top_k": 8}), ("topp", {"top_p": 0.8}), ("both", {"top_k": 8, "top_p": 0.8})],
)
def test_filters(ar_io: IO, golden: str, options: dict[str, float]) -> None:
    filtered = filter_logits(ar_io["filter_logits"], **options)
    assert torch.equal(filtered, ar_io[f"filtered_{golden}"])


@pytest.mark.parametrize(
    ("golden", "options"),
    [("plain", {}), ("topk_topp", {"temperature": 0.9, "top_k": 8, "top_p": 0.8})],
)
def test_published_draws(golden_network: Llama, ar_io: IO, golden: str, options: dict[str, float]) -> None:
    """Our distributions under the published generator's draws: the recorded samples, token for token."""
    labels, sampled = ar_io["classes"], ar_io[f"sampled_{golden}"]
    null = torch.full_like(labels, golden_network.null_label)
    guided = golden_network(sampled[:, :-1], null)
    guided = guided + 2.0 * (golden_network(sampled[:, :-1], labels) - guided)
    torch.manual_seed(7)
    for token in range(16):
        weights = filter_logits(guided[:, token], **options).softmax(dim=-1)
        assert torch.equal(torch.multinomial(weights, 1)[:, 0], sampled[:, token])


def test_impossible_grids() -> None:
    sizes = {"layers": 1, "heads": 2, "codebook_size": 8, "num_classes": 2}
    with pytest.raises(UserError, match="15 tokens form no square grid"):
        build_ar(LlamaConfig(dim=16, num_tokens=15, **sizes))
    with pytest.raises(UserError, match="Heads of 6 channels do not split"):
        build_ar(LlamaConfig(dim=12, num_tokens=16, **sizes))
