"""Both training commands from end to end, on a handful of images."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dar_bench_llamagen.train.commands import ar, tokenizer
from dar_bench_llamagen.train.recipes import RECIPES, TokenizerRecipe, recipe_path
from PIL import Image
from safetensors.torch import load_file

from dar_bench.api import Generator, LoadOptions, SampleKeys, Tokenizer
from dar_bench.cli.main import run as dar_bench
from dar_bench.errors import UserError
from dar_bench.options import parse_options
from dar_bench.plugins import load_model, registry
from dar_bench.training import checkpoint
from dar_bench.training.next_token_recipe import NextTokenRecipe
from dar_bench.training.recipe import load_recipe

START = 8

TOKENIZER_RECIPE = """
[data]
train = "{data}"
val = "{data}"
crop = "shift"
shift = 1

[model]
image_size = 16
codebook_size = 32
width = 32
multipliers = [1, 1]
blocks = 1
latent = 16

[loss]
perceptual = "efficientnet-lite0"
feature_size = 32
entropy = 0.01
uniformity = 0.01
adversarial_start = 8
adaptive = true

[discriminator]
width = 8
layers = 1

[evaluation]
images = 4

[train]
steps = 20
batch_size = 4
log_every = 1
eval_every = 10
image_every = 20
checkpoint_every = 10
threads = 1
"""

AR_RECIPE = """
[data]
train = "{data}"
tokenizer = "{tokenizer}"
crops = "twenty"

[model]
depth = 2
heads = 2
width = 32
num_classes = 3

[evaluation]
held_out = 0.2
samples = 3

[train]
steps = 4
batch_size = 8
log_every = 1
eval_every = 2
image_every = 4
checkpoint_every = 2
threads = 1
"""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve images in three classes."""
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for label in range(3):
        (folder / f"class{label}").mkdir()
        for number in range(4):
            pixels = random.integers(0, 256, (20, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"class{label}" / f"{number}.png")
    return folder


def run(command: Any, *arguments: str) -> None:
    command.main(list(arguments), standalone_mode=False)


def entries(folder: Path, kind: str) -> list[dict[str, float]]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    untimed = ("time", "images_per_second", "memory_gib")
    return [
        {name: value for name, value in entry.items() if name not in untimed}
        for entry in map(json.loads, lines)
        if entry["kind"] == kind
    ]


@pytest.fixture(scope="module")
def trained(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of the tokenizer, trained as a user would."""
    folder = tmp_path_factory.mktemp("runs")
    recipe = folder / "small.toml"
    recipe.write_text(TOKENIZER_RECIPE.format(data=images))
    command = ["train", "llamagen-tokenizer", "--recipe", str(recipe), "--out", str(folder / "tokenizer")]
    assert dar_bench(command) == 0
    return folder


def test_tokenizer_folder_is_a_model(trained: Path) -> None:
    model = load_model(str(trained / "tokenizer" / "export"), LoadOptions())
    assert isinstance(model, Tokenizer)
    assert (model.card.tokens, model.card.codebook_size, model.card.image_size) == (64, 32, 16)
    batch = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    codes = model.encode(batch)
    assert codes.shape == (2, 64)
    decoded = model.decode(codes, SampleKeys(seed=0, indices=(0, 1)), parse_options(model.card, {}))
    assert (decoded.shape, decoded.dtype) == (batch.shape, torch.uint8)


def test_the_discriminator_joins_at_its_step(trained: Path) -> None:
    logged = entries(trained / "tokenizer", "train")
    always = {"reconstruction", "perceptual", "codebook", "commitment", "entropy", "uniformity", "codes_used"}
    later = {"adversarial", "adversarial_weight", "adversary_loss", "adversary_real", "adversary_grad_norm"}
    for entry in logged:
        assert always <= entry.keys()
        assert (later <= entry.keys()) == (entry["step"] > START)
        terms = (always - {"codes_used"}) | ({"adversarial"} & entry.keys())
        assert entry["loss"] == pytest.approx(sum(entry[name] for name in terms), rel=1e-5)
    # An untrained discriminator is unsure: both hinges stand near 1, times the weight 0.5.
    assert logged[START]["adversary_loss"] == pytest.approx(0.5, abs=0.25)
    found = checkpoint.latest(trained / "tokenizer" / "checkpoints")
    assert found is not None
    steps = found.tensors()["adversary_optimizer"]["state"][0]["step"]
    assert int(steps) == 20 - START
    exported = load_file(trained / "tokenizer" / "export" / "model.safetensors")
    assert not any("discriminator" in name or "steps_done" in name for name in exported)
    assert [entry["step"] for entry in entries(trained / "tokenizer", "eval")] == [10, 20]
    assert list((trained / "tokenizer" / "images").glob("reconstruction-*.png"))


def test_ten_and_ten_steps_are_twenty(trained: Path, tmp_path: Path) -> None:
    recipe = str(trained / "small.toml")
    run(tokenizer, "--recipe", recipe, "--out", str(tmp_path / "run"), "--set", "train.steps=10")
    run(tokenizer, "--recipe", recipe, "--out", str(tmp_path / "run"), "--resume")
    assert entries(tmp_path / "run", "train") == entries(trained / "tokenizer", "train")
    whole = load_file(trained / "tokenizer" / "export" / "model.safetensors")
    parts = load_file(tmp_path / "run" / "export" / "model.safetensors")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_generator_is_trained_on_the_folder_and_samples(trained: Path, images: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "ar.toml"
    recipe.write_text(AR_RECIPE.format(data=images, tokenizer=trained / "tokenizer" / "export"))
    out = tmp_path / "ar"
    assert dar_bench(["train", "llamagen-ar", "--recipe", str(recipe), "--out", str(out)]) == 0
    card = registry().card(str(out / "export"))
    model = load_model(str(out / "export"), LoadOptions())
    assert isinstance(model, Generator)
    assert model.card.class_names == ("class0", "class1", "class2")
    assert json.loads((out / "codes" / "index.json").read_text())["crops"] == 20
    options = parse_options(card, {"cfg": "linear:1.0-2.0", "top-k": "16"})
    labels, keys = torch.tensor([0, 2]), SampleKeys(seed=0, indices=(0, 1))
    (batch,) = model.generate(labels, keys, options, previews=True)
    assert batch.final
    assert batch.images.shape == (2, 3, 16, 16)
    assert any("validation_loss" in entry for entry in entries(out, "eval"))
    # A sample does not depend on its neighbours.
    (alone,) = model.generate(labels[1:], SampleKeys(seed=0, indices=(1,)), options)
    assert torch.equal(alone.codes, batch.codes[1:])

    cached = tmp_path / "cached"
    run(ar, "--recipe", str(recipe), "--codes", str(out / "codes"), "--out", str(cached))
    assert entries(cached, "train") == entries(out, "train")


@pytest.mark.parametrize("file", sorted(RECIPES.glob("*.toml")), ids=lambda file: file.stem)
def test_shipped_recipes_are_valid(file: Path) -> None:
    recipe = TokenizerRecipe if "tokenizer" in file.stem else NextTokenRecipe
    loaded = load_recipe(recipe, recipe_path(file.stem))
    if isinstance(loaded, NextTokenRecipe):
        card = registry().card(file.stem)
        model = loaded.model
        sizes = (model.depth, model.heads, model.width, model.num_classes)
        assert sizes == tuple(card.config[key] for key in ("layers", "heads", "dim", "num_classes"))
        assert loaded.data.tokenizer == card.tokenizer
    else:
        config = registry().card(file.stem).config
        assert all(getattr(loaded.model, name) == value for name, value in config.items())


def test_published_recipe() -> None:
    recipe = load_recipe(TokenizerRecipe, recipe_path("llamagen-tokenizer"))
    assert (recipe.train.batch_size, recipe.optimizer.lr) == (128, 1e-4)
    assert (recipe.loss.adversarial, recipe.loss.adversarial_start, recipe.loss.adaptive) == (
        0.5,
        20_000,
        False,
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("model.width=40", "width 40 is not a multiple of the norm's 32 groups"),
        ("model.image_size=17", "17 px do not divide into patches of 2 px"),
        ("loss.adversarial=-1", r"'loss\.adversarial' is out of range"),
        ("discriminator.layers=0", r"'discriminator\.layers' is out of range"),
        ("loss.adversary=1", "Unknown key 'loss.adversary'"),
    ],
)
def test_impossible_recipes(trained: Path, tmp_path: Path, change: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(tokenizer, "--recipe", str(trained / "small.toml"), "--out", str(tmp_path / "x"), "--set", change)
    assert not (tmp_path / "x").exists()


def test_missing_perceptual_weights_say_what_to_do(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAR_BENCH_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    with pytest.raises(UserError, match=r"downloads are off.*loss\.perceptual_weight=0"):
        run(
            tokenizer, "--recipe", str(trained / "small.toml"), "--out", str(tmp_path / "x"),
            "--set", "loss.perceptual=lpips-vgg",
        )  # fmt: skip


def test_a_damaged_folder(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(
        '{"plugin": "llamagen", "kind": "tokenizer", "config": {"widht": 3}}'
    )
    with pytest.raises(UserError, match="describes no LlamaGen model"):
        registry().card(str(tmp_path))
    (tmp_path / "model.json").write_text('{"plugin": "llamagen", "kind": "painter", "config": {}}')
    with pytest.raises(UserError, match="LlamaGen model of unknown kind 'painter'"):
        registry().card(str(tmp_path))


@pytest.mark.timeout(600)  # starting processes takes long on a busy machine; nothing here measures time
def test_two_processes_train_both_networks(trained: Path, tmp_path: Path) -> None:
    """Until the discriminator joins, the curve is that of one process; after it, both stay in step and end."""
    changes = {
        "loss.perceptual_weight": "0", "loss.entropy": "0", "loss.adversarial_start": "3", "train.steps": "5",
        "train.eval_every": "0", "train.image_every": "0",
    }  # fmt: skip
    arguments = ["train", "llamagen-tokenizer", "--recipe", str(trained / "small.toml")]
    for key, value in changes.items():
        arguments += ["--set", f"{key}={value}"]
    assert dar_bench([*arguments, "--out", str(tmp_path / "one")]) == 0
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*launcher, "-m", "dar_bench", *arguments, "--out", str(tmp_path / "two")],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    one, two = entries(tmp_path / "one", "train"), entries(tmp_path / "two", "train")
    assert len(one) == len(two) == 5
    for ours, theirs in zip(one[:3], two[:3], strict=True):
        # Sums in another order: float32 rounding, through three updates.
        assert theirs["loss"] == pytest.approx(ours["loss"], rel=1e-4)
    assert all("adversary_loss" in entry for entry in two[3:])
