"""The autoregressive model against numbers that the published code gave for small random weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from dar_bench_dar.model.ar import PRESETS, ar_config, build_ar
from dar_bench_dar.weights import convert_ar
from safetensors.torch import load_file

from dar_bench.api import SampleKeys
from dar_bench.errors import UserError
from dar_bench.nn.llama import Llama
from dar_bench.sampling.engine import generate_tokens
from dar_bench.sampling.guidance import parse_schedule

GOLDENS = Path(__file__).parent / "goldens"
CONFIG = ar_config(
    {"layers": 2, "heads": 2, "dim": 128, "codebook_size": 256, "num_tokens": 32, "num_classes": 10}
)


@pytest.fixture(scope="module")
def network() -> Llama:
    network = build_ar(CONFIG).eval()
    network.load_state_dict(convert_ar({"model": load_file(GOLDENS / "ar.safetensors")}), strict=True)
    return network


@pytest.fixture(scope="module")
def io() -> dict[str, torch.Tensor]:
    return load_file(GOLDENS / "ar_io.safetensors")


def test_teacher_forced_logits(network: Llama, io: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        logits = network(io["tokens"], io["labels"])
    assert io["labels"][-1] == network.null_label
    torch.testing.assert_close(logits, io["logits"], rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize(
    ("golden", "schedule"),
    [
        ("1.0", "none"),
        ("1.0", "1.0"),
        ("1.5", "1.5"),
        ("4.0", "4.0"),
        ("1.0->3.0", "linear:1.0-3.0"),
        ("1.1->8.0", "linear:1.1-8.0"),
        ("1.1->10.0", "linear:1.1-10.0"),
    ],
)
def test_greedy_tokens(network: Llama, io: dict[str, torch.Tensor], golden: str, schedule: str) -> None:
    keys = SampleKeys(seed=0, indices=(0, 1, 2))
    groups = generate_tokens(
        network, io["greedy.labels"], keys, schedule=parse_schedule(schedule), temperature=0.0, group=4
    )
    assert torch.equal(torch.cat(list(groups), dim=1), io[f"greedy.cfg={golden}"])


@pytest.mark.parametrize(("size", "count"), [("b", 110_888_448), ("l", 342_910_976), ("xl", 774_699_520)])
def test_published_sizes_to_the_unit(size: str, count: int) -> None:
    with torch.device("meta"):
        network = build_ar(PRESETS[size])
    assert sum(parameter.numel() for parameter in network.parameters()) == count


def test_published_names_and_shapes() -> None:
    with torch.device("meta"):
        state = build_ar(PRESETS["l"]).state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    layer = {
        "attention.wqkv.weight": (3072, 1024),
        "attention.wo.weight": (1024, 1024),
        "feed_forward.w1.weight": (2816, 1024),
        "feed_forward.w2.weight": (1024, 2816),
        "feed_forward.w3.weight": (2816, 1024),
        "attention_norm.weight": (1024,),
        "ffn_norm.weight": (1024,),
    }
    expected = {f"layers.{i}.{name}": shape for i in range(24) for name, shape in layer.items()}
    expected |= {
        "cls_embedding.embedding_table.weight": (1001, 1024),
        "tok_embeddings.weight": (16384, 1024),
        "norm.weight": (1024,),
        "output.weight": (16384, 1024),
    }
    assert shapes == expected


def test_config_from_a_preset_with_changes() -> None:
    config = ar_config({"preset": "b", "codebook_size": 4096, "dropout": 0.0})
    assert (config.layers, config.codebook_size, config.dropout) == (12, 4096, 0.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"preset": "xxl"}, "Unknown size of the autoregressive model 'xxl'"),
        ({"preset": "b", "layer": 3}, "Did you mean 'layers'?"),
        ({"layers": 2, "dim": 128}, "lacks sizes: heads, codebook_size"),
        ({"preset": "tiny", "heads": 5}, "dim 128 and 5 heads"),
        ({"preset": "tiny", "layers": 0}, "layers is 0"),
        ({"preset": "tiny", "dropout": 1.0}, "Dropout 1.0 is out of range"),
    ],
)
def test_bad_configurations(values: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message.replace("?", r"\?")):
        ar_config(values)
