"""The terms of the tokenizer's loss that no published fixture covers."""

from __future__ import annotations

import math

import pytest
import torch
from dar_bench_dar.model.config import TokenizerConfig
from dar_bench_dar.model.timing import group_start, group_starts, sampling_schedule, training_time
from dar_bench_dar.model.tokenizer import SequentialDiffusionTokenizer
from dar_bench_dar.train.objective import TokenizerObjective
from dar_bench_dar.train.recipes import TokenizerLosses


def test_early_steps_see_all_tokens(small_tokenizer: SequentialDiffusionTokenizer) -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(4, 3, 16, 16, generator=generator) * 2 - 1
    noise, late = torch.randn(4, 3, 16, 16, generator=generator), torch.full((4,), 0.95)
    grouped = TokenizerObjective(small_tokenizer, TokenizerLosses())
    early = TokenizerObjective(small_tokenizer, TokenizerLosses(ungrouped_steps=10))
    flow = {}
    for name, objective, step in (("grouped", grouped, 0), ("early", early, 9), ("over", early, 10)):
        objective.steps_done.fill_(step)
        terms, _ = objective.terms(image, late, noise)
        flow[name] = (float(terms["flow"]), float(terms["codebook"]))
    assert flow["over"] == flow["grouped"]
    assert flow["early"][0] != flow["grouped"][0]
    # The last group ends with the last token: both count the same tokens, so only the conditions differ.
    assert flow["early"][1] == pytest.approx(flow["grouped"][1])


@pytest.mark.parametrize("groups", [1, 4, 8, 16])
def test_every_group_has_its_step_in_the_default_schedule(groups: int) -> None:
    config = TokenizerConfig(groups=groups)
    schedule = sampling_schedule(config, groups)
    assert [step.first_token for step in schedule] == [i * config.group_size for i in range(groups)]
    assert schedule[0].time == 0.0
    assert schedule[-1].next_time == 1.0


def test_times_of_the_paper() -> None:
    # Equation 8 with K = 8 and beta = 2.
    times = [step.time for step in sampling_schedule(TokenizerConfig(), 8)]
    assert times == pytest.approx([i / (i + 2 * (8 - i)) for i in range(8)])


def test_batched_rule_equals_the_single_one() -> None:
    u = torch.linspace(0, 1, 1001, dtype=torch.float64)
    batched = group_starts(u, 256, 8)
    assert batched.tolist() == [group_start(float(value), 256, 8) for value in u]
    assert batched.max() == 224
    assert torch.all(batched.diff() >= 0)


def test_time_shift_is_the_inverse_of_equation_5() -> None:
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    beta = 2.0
    uniform = t / (t + (1 / beta) * (1 - t))
    torch.testing.assert_close(training_time(uniform, beta), t)
    assert math.isclose(float(training_time(torch.tensor(0.5, dtype=torch.float64), beta)), 1 / 3)
