"""The autoregressive engine: guidance branches, streaming, prefixes, and independence of the batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from scipy import stats

from dar_bench.api import SampleKeys
from dar_bench.errors import UserError
from dar_bench.nn.cache import KVCache
from dar_bench.nn.llama import Llama, LlamaConfig
from dar_bench.nn.rotary import rotary_table
from dar_bench.sampling.engine import generate_tokens
from dar_bench.sampling.guidance import Scales, Schedule, parse_schedule

CONFIG = LlamaConfig(layers=2, heads=2, dim=32, codebook_size=40, num_tokens=16, num_classes=5)


class CountingLlama(Llama):
    """Notes the method, the number of sequences and the number of positions of every call."""

    def __init__(self) -> None:
        super().__init__(CONFIG, rotary_table(CONFIG.num_tokens, CONFIG.head_dim))
        self.calls: list[tuple[str, int, int]] = []

    def prefill(self, labels: torch.Tensor, prefix: torch.Tensor | None, cache: KVCache) -> torch.Tensor:
        self.calls.append(("prefill", len(labels), 1 if prefix is None else prefix.shape[1] + 1))
        return super().prefill(labels, prefix, cache)

    def extend(self, tokens: torch.Tensor, start: int, cache: KVCache) -> torch.Tensor:
        self.calls.append(("extend", *tokens.shape))
        return super().extend(tokens, start, cache)

    def step(self, tokens: torch.Tensor, position: torch.Tensor, cache: KVCache) -> torch.Tensor:
        self.calls.append(("step", len(tokens), 1))
        return super().step(tokens, position, cache)


@pytest.fixture
def network() -> CountingLlama:
    torch.manual_seed(0)
    network = CountingLlama()
    for parameter in network.parameters():
        if parameter.ndim == 2:  # large weights, so that classes and tokens matter
            torch.nn.init.normal_(parameter, std=0.3)
    return network.eval()


def keys(*indices: int, seed: int = 5) -> SampleKeys:
    return SampleKeys(seed=seed, indices=indices)


def sample(
    network: Llama, labels: list[int], which: SampleKeys, schedule: str, **options: object
) -> torch.Tensor:
    groups = generate_tokens(
        network,
        torch.tensor(labels),
        which,
        schedule=parse_schedule(schedule),
        **{"group": 4, **options},  # type: ignore[arg-type]
    )
    return torch.cat(list(groups), dim=1)


def naive(
    network: Llama, labels: list[int], schedule: Schedule, prefix: torch.Tensor | None = None
) -> torch.Tensor:
    """Greedy decoding by definition: both branches, from scratch, for every token."""
    conditional = torch.tensor(labels)
    null = torch.full_like(conditional, network.null_label)
    codes = torch.empty(len(labels), 0, dtype=torch.int64) if prefix is None else prefix
    scales = schedule.scales(network.num_tokens)
    with torch.no_grad():
        for token in range(codes.shape[1], network.num_tokens):
            c, u = network(codes, conditional)[:, -1], network(codes, null)[:, -1]
            logits = u + scales[token] * (c - u)
            codes = torch.cat((codes, logits.argmax(-1, keepdim=True)), dim=1)
    return codes


SCHEDULES = [
    "none",
    "0",
    "2.5",
    "-1.5",
    "0.5",
    "linear:1-4",
    "linear:4-1",
    "linear:-1-2",
    "cosine:0-3",
    "power:1-6",
    "interval:4:0.25-0.75",
    "interval:0:0.3-0.6",
    "interval:-2:0-0.5",
]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_equals_the_naive_two_branch_computation(network: CountingLlama, schedule: str) -> None:
    labels = [0, 3, 4]
    tokens = sample(network, labels, keys(0, 1, 2), schedule, temperature=0.0)
    assert torch.equal(tokens, naive(network, labels, parse_schedule(schedule)))


class Alternating(Schedule):
    """Leaves and rejoins 1 and 0 again and again."""

    def scales(self, count: int) -> Scales:
        return np.resize([1.0, 3.0, 1.0, 1.0, 0.0, 0.0, 2.0, 2.0, 0.0, 1.0], count)

    def __str__(self) -> str:
        return "alternating"


@pytest.mark.parametrize("prefix_length", [0, 5])
def test_branches_catch_up_whenever_they_are_needed(network: CountingLlama, prefix_length: int) -> None:
    prefix = torch.arange(3 * prefix_length).reshape(3, prefix_length)
    labels = torch.tensor([0, 3, 4])
    tokens = torch.cat(
        list(
            generate_tokens(
                network, labels, keys(0, 1, 2), schedule=Alternating(), temperature=0, prefix=prefix, group=16
            )
        ),
        dim=1,
    )
    assert any(kind == "extend" for kind, _, _ in network.calls)
    assert torch.equal(tokens, naive(network, labels.tolist(), Alternating(), prefix))


def test_classes_and_scales_matter(network: CountingLlama) -> None:
    # Guards the tests above: they could not fail on a network whose tokens are always the same.
    results = [
        sample(network, [0, 3, 4], keys(0, 1, 2), text, temperature=0.0) for text in ("none", "0", "4")
    ]
    assert not torch.equal(results[0][0], results[0][1])
    assert not torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


@pytest.mark.parametrize("schedule", ["none", "1.0", "linear:1-1", "0"])
def test_one_branch_where_the_other_never_counts(network: CountingLlama, schedule: str) -> None:
    sample(network, [1, 2], keys(0, 1), schedule)
    assert network.calls == [("prefill", 2, 1)] + [("step", 2, 1)] * 15


def test_both_branches_in_one_call(network: CountingLlama) -> None:
    sample(network, [1, 2], keys(0, 1), "linear:1.1-8")
    assert network.calls == [("prefill", 4, 1)] + [("step", 4, 1)] * 15


def test_unconditional_work_of_an_interval(network: CountingLlama) -> None:
    sample(network, [1, 2], keys(0, 1), "interval:3:0.25-0.75")
    single, double = ("step", 2, 1), ("step", 4, 1)
    start = [("prefill", 2, 1), single, single, single]
    rejoin = [single, ("prefill", 2, 5)]  # token 4: the unconditional branch reads the class and four tokens
    assert network.calls == [*start, *rejoin, *[double] * 7, *[single] * 4]


@pytest.mark.parametrize("options", [{}, {"temperature": 0.8, "top_k": 20, "top_p": 0.9}])
def test_a_sample_does_not_depend_on_its_batch(network: CountingLlama, options: dict[str, float]) -> None:
    indices = list(range(64))
    labels = [index % 5 for index in indices]

    def run(chosen: list[int]) -> torch.Tensor:
        return sample(network, [labels[i] for i in chosen], keys(*chosen), "linear:1-4", **options)

    together = run(indices)
    assert len(together.unique(dim=0)) == 64
    for index in (0, 17, 63):
        assert torch.equal(run([index])[0], together[index])
    order = indices[::-1][:10] + indices[20:30]
    assert torch.equal(run(order), together[order])
    assert torch.equal(torch.cat((run(indices[:23]), run(indices[23:]))), together)


def test_seeds_and_indices_change_the_sample(network: CountingLlama) -> None:
    tokens = sample(network, [1, 1], keys(0, 1), "none")
    assert not torch.equal(tokens[0], tokens[1])
    assert not torch.equal(tokens, sample(network, [1, 1], keys(0, 1, seed=6), "none"))


def test_first_token_follows_the_guided_softmax(network: CountingLlama) -> None:
    count = 4000
    tokens = next(
        generate_tokens(
            network,
            torch.full((count,), 2),
            keys(*range(count)),
            schedule=parse_schedule("1.7"),
            temperature=1.3,
            group=1,
        )
    )
    empty = torch.empty(1, 0, dtype=torch.int64)
    with torch.no_grad():
        c, u = network(empty, torch.tensor([2]))[0, 0], network(empty, torch.tensor([5]))[0, 0]
    expected = ((u + 1.7 * (c - u)) / 1.3).double().softmax(-1).numpy() * count
    common = expected > 5
    observed = np.bincount(tokens[:, 0].numpy(), minlength=40)
    observed = np.append(observed[common], observed[~common].sum())
    assert stats.chisquare(observed, np.append(expected[common], expected[~common].sum())).pvalue > 0.01


def test_groups_stream_as_soon_as_they_exist(network: CountingLlama) -> None:
    stream = generate_tokens(network, torch.tensor([1]), keys(0), schedule=parse_schedule("none"), group=4)
    assert network.calls == []
    first = next(stream)
    assert first.shape == (1, 4)
    assert len(network.calls) == 4
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
    rest = list(stream)
    assert [group.shape[1] for group in rest] == [4, 4, 4]
    assert torch.equal(torch.cat((first, *rest), dim=1), sample(network, [1], keys(0), "none", group=16))


def test_a_shorter_last_group(network: CountingLlama) -> None:
    stream: Iterator[torch.Tensor] = generate_tokens(
        network, torch.tensor([1]), keys(0), schedule=parse_schedule("none"), group=6
    )
    assert [group.shape[1] for group in stream] == [6, 6, 4]


@pytest.mark.parametrize("length", [0, 1, 6, 16])
def test_a_prefix_is_kept_and_continued(network: CountingLlama, length: int) -> None:
    free = sample(network, [1, 4], keys(0, 1), "linear:1-3")
    # Continuing a sample from its own first tokens gives the sample: uniforms belong to positions.
    again = sample(network, [1, 4], keys(0, 1), "linear:1-3", prefix=free[:, :length])
    assert torch.equal(again, free)
    other = (free[:, :length] + 1) % 40
    changed = sample(network, [1, 4], keys(0, 1), "linear:1-3", prefix=other)
    assert torch.equal(changed[:, :length], other)


def test_bfloat16(network: CountingLlama) -> None:
    reference = sample(network, [1, 4], keys(0, 1), "2", temperature=0.0)
    network.to(torch.bfloat16)
    assert network.rotary.dtype == torch.float32
    cache = network.new_cache(1)
    assert cache.keys[0].dtype == torch.bfloat16
    assert network.prefill(torch.tensor([1]), None, cache).dtype == torch.float32
    tokens = sample(network, [1, 4], keys(0, 1), "2", temperature=0.0)
    assert tokens.shape == reference.shape
    assert torch.equal(tokens[:, 0], reference[:, 0])


def test_compiled_steps_give_the_same_tokens(network: CountingLlama) -> None:
    schedule = "2"  # both branches in one batch: one program to compile
    reference = sample(network, [1, 4], keys(0, 1), schedule)
    network.compile_step(backend="eager")
    assert torch.equal(sample(network, [1, 4], keys(0, 1), schedule), reference)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": torch.tensor([1, 6])}, "Label 6 is out of range"),
        ({"labels": torch.tensor([-1, 2])}, "Label -1 is out of range"),
        ({"labels": torch.tensor([1])}, "2 samples need as many labels"),
        ({"temperature": -0.1}, "Temperature -0.1"),
        ({"temperature": float("nan")}, "Temperature nan"),
        ({"temperature": float("inf")}, "Temperature inf"),
        ({"top_k": -1}, "top-k -1"),
        ({"top_p": 0.0}, "top-p 0.0"),
        ({"top_p": 1.1}, "top-p 1.1"),
        ({"group": 0}, "Groups of 0 tokens"),
        ({"prefix": torch.zeros(2, 17, dtype=torch.int64)}, r"prefix of shape \(2, 17\)"),
        ({"prefix": torch.zeros(1, 3, dtype=torch.int64)}, r"prefix of shape \(1, 3\)"),
        ({"prefix": torch.full((2, 3), 40)}, "codes that are out of range"),
    ],
)
def test_bad_arguments_are_refused_at_once(
    network: CountingLlama, changes: dict[str, object], message: str
) -> None:
    arguments = {"labels": torch.tensor([1, 2]), "schedule": parse_schedule("none"), "group": 4} | changes
    with pytest.raises(UserError, match=message):
        generate_tokens(network, keys=keys(0, 1), **arguments)  # type: ignore[arg-type]


def test_broken_weights_are_reported(network: CountingLlama) -> None:
    with torch.no_grad():
        network.layers[1].feed_forward.w2.weight[0, 0] = float("nan")
    with pytest.raises(UserError, match="NaN or infinite logits by token 3"):
        sample(network, [1], keys(0), "2")


def test_the_null_label_may_be_asked_for(network: CountingLlama) -> None:
    labels = [network.null_label]
    assert torch.equal(sample(network, labels, keys(0), "3"), sample(network, labels, keys(0), "none"))
