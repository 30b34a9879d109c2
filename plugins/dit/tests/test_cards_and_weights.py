"""What the cards promise, and published files on their way into the store."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from dar_bench_dit.cards import CARDS, DIT_TINY, DIT_XL_2
from dar_bench_dit.load import count_card, layout, load_generator
from dar_bench_dit.weights import convert
from safetensors.torch import load_file

from dar_bench import weights
from dar_bench.api import GeneratorCard, LoadOptions, SampleKeys
from dar_bench.errors import UserError
from dar_bench.options import parse_options
from dar_bench.plugins import registry

from .conftest import GOLDEN_SIZES

State = dict[str, torch.Tensor]

GOLDEN_CARD = dataclasses.replace(
    DIT_XL_2, name="dit-golden", autoencoder="", num_classes=10, parameters=149_648, config=GOLDEN_SIZES
)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_parameters_are_as_promised(card: GeneratorCard) -> None:
    assert count_card(card) == card.parameters


@pytest.mark.parametrize(
    ("size", "parameters"), [("xl", 675_129_632), ("l", 458_102_816), ("b", 130_512_416), ("s", 32_963_360)]
)
def test_published_sizes(size: str, parameters: int) -> None:
    card = dataclasses.replace(DIT_XL_2, config={**DIT_XL_2.config, "size": size})
    assert count_card(card) == parameters
    table = 256 * layout(card)["pos_embed"][-1]
    trained = {"xl": 674_834_720, "l": 457_840_672, "b": 130_315_808, "s": 32_865_056}
    assert parameters - table == trained[size]


def test_layout_is_the_published_one() -> None:
    shapes = layout(DIT_XL_2)
    assert len(shapes) == 28 * 10 + 12
    assert shapes["pos_embed"] == (1, 256, 1152)
    assert shapes["x_embedder.proj.weight"] == (1152, 4, 2, 2)
    assert shapes["y_embedder.embedding_table.weight"] == (1001, 1152)
    assert shapes["blocks.27.attn.qkv.weight"] == (3456, 1152)
    assert shapes["blocks.0.adaLN_modulation.1.weight"] == (6912, 1152)
    assert shapes["final_layer.linear.weight"] == (32, 1152)


def test_reported_options_are_options() -> None:
    for card in CARDS:
        for report in card.reported:
            parse_options(card, report.options)


def test_the_cards_decoders_are_installed() -> None:
    for card in CARDS:
        if card.autoencoder:
            assert registry().card(card.autoencoder).name == card.autoencoder


def published(golden_state: State, path: Path, kind: str) -> Path:
    """Write the golden weights as one of the two kinds of published files."""
    if kind == "released":
        torch.save(golden_state, path)
    else:
        wrong = {name: torch.zeros_like(value) for name, value in golden_state.items()}
        args = argparse.Namespace(model="DiT-XL/2")
        torch.save({"model": wrong, "ema": golden_state, "opt": {"state": {}}, "args": args}, path)
    return path


@pytest.mark.parametrize("kind", ["released", "training script"])
def test_both_kinds_of_files_import(golden_state: State, tmp_path: Path, kind: str) -> None:
    path = weights.import_file(GOLDEN_CARD, published(golden_state, tmp_path / "model.pt", kind))
    stored = load_file(path)
    assert stored.keys() == golden_state.keys()
    assert all(torch.equal(stored[name], golden_state[name]) for name in stored)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


def test_fetched_weights_sample_as_the_published_code_did(
    golden_state: State, goldens: State, tmp_path: Path, server: str
) -> None:
    published(golden_state, tmp_path / "DiT-XL-2-256x256.pt", "released")
    path = weights.fetch(GOLDEN_CARD, url=f"{server}/DiT-XL-2-256x256.pt")
    generator = load_generator(GOLDEN_CARD, path, LoadOptions())
    output = generator.network(goldens["fwd.x"], goldens["fwd.t"], goldens["fwd.y"])
    assert float((output - goldens["fwd.out"]).abs().max()) <= 1e-5 * float(goldens["fwd.out"].abs().max())
    options = parse_options(GOLDEN_CARD, {"steps": "2"})
    (x, final) = generator.denoise(torch.tensor([3]), SampleKeys(seed=0, indices=(0,)), options)
    assert x.shape == final.shape == (1, 4, 8, 8)


def test_files_of_other_models_are_refused(golden_state: State, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"not a DiT: 1 unknown keys, such as unet.conv"):
        convert({**golden_state, "unet.conv": torch.zeros(1)})
    lacking = {name: value for name, value in golden_state.items() if name != "pos_embed"}
    torch.save(lacking, tmp_path / "lacking.pt")
    with pytest.raises(UserError, match="pos_embed"):
        weights.import_file(GOLDEN_CARD, tmp_path / "lacking.pt")
    torch.save(golden_state, tmp_path / "small.pt")
    with pytest.raises(UserError, match="instead of"):
        weights.import_file(dataclasses.replace(GOLDEN_CARD, config=DIT_TINY.config), tmp_path / "small.pt")
