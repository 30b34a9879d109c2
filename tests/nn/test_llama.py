"""The decoder: sizes, training behaviour, and the equality of all ways to read a sequence."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
import torch.nn.functional as F

from dar_bench.api import TokenNetwork
from dar_bench.errors import UserError
from dar_bench.nn.llama import Llama, LlamaConfig, RMSNorm
from dar_bench.nn.rotary import rotary_table

CONFIG = LlamaConfig(layers=3, heads=2, dim=32, codebook_size=50, num_tokens=12, num_classes=7)


def zero_class_row(table: torch.Tensor) -> torch.Tensor:
    """LlamaGen's convention: the class token's query and key are zero vectors."""
    return torch.cat((torch.zeros_like(table[:1]), table[1:]))


@pytest.fixture(params=["position 0", "zero row"])
def network(request: pytest.FixtureRequest) -> Llama:
    torch.manual_seed(0)
    table = rotary_table(13, 16)
    network = Llama(CONFIG, table if request.param == "position 0" else zero_class_row(table))
    for parameter in network.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.2)
    return network.eval()


@pytest.fixture
def tokens() -> torch.Tensor:
    return torch.randint(50, (4, 12), generator=torch.Generator().manual_seed(1))


LABELS = torch.tensor([0, 3, 6, 7])


@pytest.mark.parametrize(
    ("layers", "heads", "dim", "head_dim", "hidden", "count"),
    [
        (12, 12, 768, 64, 2048, 110_888_448),
        (24, 16, 1024, 64, 2816, 342_910_976),
        (36, 20, 1280, 64, 3584, 774_699_520),
        (48, 24, 1536, 64, 4096, 1_410_972_672),
        (24, 32, 3200, 100, 8704, 3_096_659_200),
    ],
)
def test_published_sizes(layers: int, heads: int, dim: int, head_dim: int, hidden: int, count: int) -> None:
    config = LlamaConfig(
        layers=layers, heads=heads, dim=dim, codebook_size=16384, num_tokens=256, num_classes=1000
    )
    assert (config.head_dim, config.hidden) == (head_dim, hidden)
    with torch.device("meta"):
        network = Llama(config, rotary_table(257, head_dim))
    assert sum(parameter.numel() for parameter in network.parameters()) == count
    assert not list(network.buffers())


def test_it_is_a_token_network(network: Llama) -> None:
    as_protocol: TokenNetwork = network
    assert (as_protocol.num_tokens, as_protocol.codebook_size, as_protocol.null_label) == (12, 50, 7)


def test_every_prediction_sees_the_past_alone(network: Llama, tokens: torch.Tensor) -> None:
    with torch.no_grad():
        before = network(tokens, LABELS)
        changed = tokens.clone()
        changed[:, 5] = (changed[:, 5] + 1) % 50
        after = network(changed, LABELS)
    assert before.shape == (4, 13, 50)
    assert torch.equal(after[:, :6], before[:, :6])
    assert (after[:, 6:] != before[:, 6:]).any(dim=-1).all()


@pytest.mark.parametrize("attend_prefix", [True, False])
def test_steps_equal_the_full_forward(network: Llama, tokens: torch.Tensor, attend_prefix: bool) -> None:
    cache = network.new_cache(4)
    cache.attend_prefix = attend_prefix
    with torch.no_grad():
        logits = [network.prefill(LABELS, None, cache)]
        logits += [network.step(tokens[:, i], torch.tensor(i + 1), cache) for i in range(12)]
        torch.testing.assert_close(torch.stack(logits, dim=1), network(tokens, LABELS), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cuts", [(0, 12), (5, 12), (1, 4, 5, 12)])
def test_spans_equal_the_full_forward(network: Llama, tokens: torch.Tensor, cuts: tuple[int, ...]) -> None:
    cache = network.new_cache(4)
    with torch.no_grad():
        full = network(tokens, LABELS)
        last = network.prefill(LABELS, tokens[:, : cuts[0]], cache)
        torch.testing.assert_close(last, full[:, cuts[0]], rtol=1e-4, atol=1e-5)
        for start, stop in itertools.pairwise(cuts):
            last = network.extend(tokens[:, start:stop], start + 1, cache)
            torch.testing.assert_close(last, full[:, stop], rtol=1e-4, atol=1e-5)


def test_stale_entries_behind_the_position_are_masked(network: Llama, tokens: torch.Tensor) -> None:
    cache = network.new_cache(4)
    cache.attend_prefix = False
    with torch.no_grad():
        expected = network.prefill(LABELS, tokens[:, :3], cache)
        network.extend(tokens[:, 3:], 4, cache)
        again = network.step(tokens[:, 2], torch.tensor(3), cache)
    torch.testing.assert_close(again, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_steps_equal_eager_ones_without_recompiling(
    network: Llama, tokens: torch.Tensor, backend: str
) -> None:
    compiled = copy.deepcopy(network)
    compiled.compile_step(backend=backend)
    caches = network.new_cache(4), compiled.new_cache(4)
    assert [cache.attend_prefix for cache in caches] == [True, False]
    position = torch.zeros((), dtype=torch.int64)
    torch._dynamo.reset()
    with torch.no_grad(), torch._dynamo.config.patch(error_on_recompile=True):
        for model, cache in zip((network, compiled), caches, strict=True):
            model.prefill(LABELS, None, cache)
        for index in range(11):
            position.fill_(index + 1)
            expected = network.step(tokens[:, index], position, caches[0])
            actual = compiled.step(tokens[:, index], position, caches[1])
            torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


def test_fresh_networks_predict_uniformly() -> None:
    torch.manual_seed(0)
    network = Llama(CONFIG, rotary_table(13, 16))
    logits = network(torch.zeros(1, 3, dtype=torch.int64), torch.tensor([0]))
    assert not logits.any()
    weights = torch.cat([layer.feed_forward.w1.weight.flatten() for layer in network._blocks()])
    assert abs(weights.std().item() - 0.02) < 1e-3
    assert network.norm.weight.eq(1).all()


def test_dropout_is_for_training_alone(network: Llama, tokens: torch.Tensor) -> None:
    reference = network(tokens, LABELS)
    network.train()
    assert not torch.equal(network(tokens, LABELS), network(tokens, LABELS))
    cached = network.prefill(LABELS, tokens, network.new_cache(4))
    torch.testing.assert_close(cached, reference[:, -1], rtol=1e-4, atol=1e-5)


def test_all_dropouts_are_there() -> None:
    network = Llama(CONFIG, rotary_table(13, 16)).train()
    drops = {
        name: module.p for name, module in network.named_modules() if isinstance(module, torch.nn.Dropout)
    }
    assert drops == {"tok_dropout": 0.1, **{f"layers.{i}.drop": 0.1 for i in range(3)}}
    seen = []
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.Dropout):
            module.register_forward_hook(lambda *_, name=name: seen.append(name))
    network(torch.zeros(1, 3, dtype=torch.int64), torch.tensor([0]))
    residual = [name for i in range(3) for name in (f"layers.{i}.drop", f"layers.{i}.drop")]
    assert seen == ["tok_dropout", *residual]


def test_training_reaches_every_parameter(network: Llama, tokens: torch.Tensor) -> None:
    logits = network.train()(tokens[:, :-1], LABELS)
    F.cross_entropy(logits.flatten(0, 1), tokens.flatten()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


def test_norm_is_cast_back_before_the_weight() -> None:
    norm = RMSNorm(4, 1e-5).to(torch.bfloat16)
    x = torch.tensor([1.0, 2.0, -3.0, 0.5], dtype=torch.bfloat16)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.1, 0.7, 1.3, 0.9]))
        wide = x.float()
        expected = (wide / (wide.square().mean() + 1e-5).sqrt()).to(torch.bfloat16) * norm.weight
        assert torch.equal(norm(x), expected)


def test_the_rotary_table_survives_casts_and_the_meta_device() -> None:
    table = rotary_table(13, 16)
    with torch.device("meta"):
        network = Llama(CONFIG, table)
    network = network.to(torch.bfloat16).to_empty(device="cpu")
    assert torch.equal(network.rotary, table)


def test_a_table_that_does_not_fit_is_refused() -> None:
    for table in (rotary_table(13, 8), rotary_table(11, 16)):
        with pytest.raises(ValueError, match="does not fit"):
            Llama(CONFIG, table)


def test_impossible_sizes() -> None:
    with pytest.raises(UserError, match="dim 30 and 4 heads"):
        LlamaConfig(layers=1, heads=4, dim=30, codebook_size=5, num_tokens=4, num_classes=2)
