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
from dar_bench_dar.train.commands import ar, tokenizer
from dar_bench_dar.train.recipes import RECIPES, TokenizerRecipe, recipe_path
from PIL import Image
from safetensors.torch import load_file

from dar_bench.api import Generator, LoadOptions, SampleKeys, Tokenizer
from dar_bench.errors import UserError
from dar_bench.options import parse_options
from dar_bench.plugins import load_model, registry
from dar_bench.training.next_token_recipe import NextTokenRecipe
from dar_bench.training.recipe import load_recipe

TOKENIZER_RECIPE = """
[data]
train = "{data}"
val = "{data}"
crop = "shift"
shift = 1

[model]
image_size = 16
tokens = 16
groups = 4
codebook_size = 32
width = 64
encoder_depth = 1
token_decoder_depth = 1
patch_size = 8
query_rows = 16
decoder_width = 64
decoder_depth = 2
decoder_patch_size = 4
gate_init = 1.0
repa_block = 1
repa_hidden = 16

[loss]
perceptual = "efficientnet-lite0"
alignment = "efficientnet-lite0"
feature_size = 32

[evaluation]
images = 4

[train]
steps = 4
batch_size = 8
log_every = 1
eval_every = 2
image_every = 4
checkpoint_every = 2
threads = 1
"""

AR_RECIPE = """
[data]
train = "{data}"
tokenizer = "{tokenizer}"
crops = "flip"

[model]
depth = 2
heads = 2
width = 32
num_classes = 3
dropout = 0.1

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


def losses(folder: Path) -> list[float]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [entry["loss"] for entry in map(json.loads, lines) if entry["kind"] == "train"]


@pytest.fixture(scope="module")
def trained(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of the tokenizer."""
    folder = tmp_path_factory.mktemp("runs")
    recipe = folder / "small.toml"
    recipe.write_text(TOKENIZER_RECIPE.format(data=images))
    run(tokenizer, "--recipe", str(recipe), "--out", str(folder / "tokenizer"))
    return folder


def test_tokenizer_folder_is_a_model(trained: Path, images: Path) -> None:
    model = load_model(str(trained / "tokenizer" / "export"), LoadOptions())
    assert isinstance(model, Tokenizer)
    assert model.card.tokens == 16
    batch = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    codes = model.encode(batch)
    assert codes.shape == (2, 16)
    assert int(codes.max()) < 32
    decoded = model.decode(codes, SampleKeys(seed=0, indices=(0, 1)), parse_options(model.card, {}))
    assert decoded.shape == batch.shape
    assert decoded.dtype == torch.uint8


def test_alignment_head_is_trained_but_not_exported(trained: Path) -> None:
    exported = load_file(trained / "tokenizer" / "export" / "model.safetensors")
    assert not any("repa" in key for key in exported)
    entries = [
        json.loads(line) for line in (trained / "tokenizer" / "metrics.jsonl").read_text().splitlines()
    ]
    logged = next(entry for entry in entries if entry["kind"] == "train")
    assert {"flow", "codebook", "commitment", "perceptual", "alignment", "codes_used"} <= logged.keys()
    evaluated = [entry for entry in entries if entry["kind"] == "eval"]
    assert [entry["step"] for entry in evaluated] == [2, 4]
    assert 0 < evaluated[-1]["codebook_utilization"] <= 1
    assert list((trained / "tokenizer" / "images").glob("*.png"))


def test_resumed_tokenizer_equals_an_uninterrupted_one(trained: Path, tmp_path: Path) -> None:
    recipe = str(trained / "small.toml")
    run(tokenizer, "--recipe", recipe, "--out", str(tmp_path / "run"), "--set", "train.steps=2")
    run(tokenizer, "--recipe", recipe, "--out", str(tmp_path / "run"), "--resume")
    assert losses(tmp_path / "run") == losses(trained / "tokenizer")
    whole = load_file(trained / "tokenizer" / "export" / "model.safetensors")
    parts = load_file(tmp_path / "run" / "export" / "model.safetensors")
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_generator_is_trained_on_the_folder_and_samples(trained: Path, images: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "ar.toml"
    recipe.write_text(AR_RECIPE.format(data=images, tokenizer=trained / "tokenizer" / "export"))
    out = tmp_path / "ar"
    run(ar, "--recipe", str(recipe), "--out", str(out))
    card = registry().card(str(out / "export"))
    model = load_model(str(out / "export"), LoadOptions())
    assert isinstance(model, Generator)
    assert model.card.class_names == ("class0", "class1", "class2")
    options = parse_options(card, {"cfg": "linear:1.0-2.0"})
    batches = list(
        model.generate(torch.tensor([0, 2]), SampleKeys(seed=0, indices=(0, 1)), options, previews=True)
    )
    assert [batch.groups_done for batch in batches] == [1, 2, 3, 4]
    assert batches[-1].final
    assert batches[-1].images.shape == (2, 3, 16, 16)
    assert (out / "codes" / "index.json").exists()
    evaluated = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert any("validation_loss" in entry for entry in evaluated)

    cached = tmp_path / "cached"
    run(ar, "--recipe", str(recipe), "--codes", str(out / "codes"), "--out", str(cached))
    assert losses(cached) == losses(out)
    assert load_model(str(cached / "export"), LoadOptions()).card.class_names == model.card.class_names

    index = out / "codes" / "index.json"
    sound = json.loads(index.read_text())
    for change, message in (
        ({"expected": 13}, "not complete: 12 of 13 images"),
        ({"key": {**sound["key"], "tokenizer": "0" * 64}}, "made with weights 000000000000"),
    ):
        index.write_text(json.dumps({**sound, **change}))
        with pytest.raises(UserError, match=message):
            run(ar, "--recipe", str(recipe), "--codes", str(out / "codes"), "--out", str(tmp_path / "x"))
    with pytest.raises(UserError, match="Malformed guidance schedule 'linear:2'"):
        run(ar, "--recipe", str(recipe), "--out", str(tmp_path / "y"), "--set", "evaluation.cfg=linear:2")
    assert not (tmp_path / "y").exists()


def test_a_folder_that_does_not_fit_is_told_before_the_codes_are_made(
    trained: Path, images: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "ar.toml"
    recipe.write_text(AR_RECIPE.format(data=images, tokenizer=trained / "tokenizer" / "export"))
    with pytest.raises(UserError, match="no training run to resume"):
        run(ar, "--recipe", str(recipe), "--out", str(tmp_path / "new"), "--resume")
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "run.json").write_text("{}")
    with pytest.raises(UserError, match="already holds a training run"):
        run(ar, "--recipe", str(recipe), "--out", str(tmp_path / "old"))
    assert not (tmp_path / "old" / "codes").exists()


def test_two_processes_share_one_cache_of_codes(trained: Path, images: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "ar.toml"
    recipe.write_text(AR_RECIPE.format(data=images, tokenizer=trained / "tokenizer" / "export"))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command += ["-m", "dar_bench", "train", "ar", "--recipe", str(recipe), "--set", "train.steps=1"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "run")],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert len(losses(tmp_path / "run")) == 1


def test_two_processes_give_the_curve_of_one(trained: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command += ["-m", "dar_bench", "train", "tokenizer", "--recipe", str(trained / "small.toml")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [*command, "--out", str(tmp_path / "run")],
        check=True,
        env=environment,
        capture_output=True,
        timeout=240,
    )
    assert losses(tmp_path / "run") == pytest.approx(losses(trained / "tokenizer"), rel=1e-5)


@pytest.mark.parametrize("file", sorted(RECIPES.glob("*.toml")), ids=lambda file: file.stem)
def test_shipped_recipes_are_valid(file: Path) -> None:
    load_recipe(TokenizerRecipe if "tokenizer" in file.stem else NextTokenRecipe, recipe_path(file.stem))


def test_paper_recipe_has_the_papers_model() -> None:
    recipe = load_recipe(TokenizerRecipe, recipe_path("dar-tokenizer"))
    assert (recipe.train.batch_size, recipe.train.steps, recipe.optimizer.lr) == (1024, 210_000, 2e-4)
    assert (recipe.loss.perceptual, recipe.loss.alignment) == ("lpips-vgg", "dinov2-vitb14")


def test_unknown_recipe_suggests() -> None:
    with pytest.raises(UserError, match="Did you mean 'dar-tokenizer'"):
        recipe_path("dar-tokeniser")


def test_impossible_sizes(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="16 tokens do not form 3 equal groups"):
        run(
            tokenizer,
            "--recipe",
            str(trained / "small.toml"),
            "--out",
            str(tmp_path / "x"),
            "--set",
            "model.groups=3",
        )


def test_an_alignment_head_that_no_block_feeds(trained: Path, tmp_path: Path) -> None:
    arguments = ["--recipe", str(trained / "small.toml"), "--out", str(tmp_path / "x")]
    with pytest.raises(UserError, match=r"after block 3.*model\.repa_block from 0 to 2"):
        run(tokenizer, *arguments, "--set", "model.repa_block=3")


def test_a_missing_compiler_is_told_before_the_first_step(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dar_bench.devices.shutil.which", lambda name: None)
    arguments = ["--recipe", str(trained / "small.toml"), "--out", str(tmp_path / "x")]
    with pytest.raises(UserError, match=r"set train\.compile=false"):
        run(tokenizer, *arguments, "--set", "train.compile=true", "--set", "train.device=cpu")
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
    assert not (tmp_path / "x" / "run.json").exists(), "the same folder serves the next try"


def test_an_offline_training_says_how_to_bring_the_weights_of_its_losses(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAR_BENCH_OFFLINE", raising=False)
    with pytest.raises(UserError, match=r"weights import dinov2-vitb14.*loss\.alignment_weight=0"):
        run(
            tokenizer, "--recipe", str(trained / "small.toml"), "--out", str(tmp_path / "x"), "--offline",
            "--set", "loss.alignment=dinov2-vitb14",
        )  # fmt: skip
    assert "DAR_BENCH_OFFLINE" not in os.environ, "the network is forbidden to this command alone"


def test_a_finished_run_says_what_came_of_it_as_json(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "x"
    capsys.readouterr()
    run(
        tokenizer,
        "--recipe",
        str(trained / "small.toml"),
        "--out",
        str(out),
        "--json",
        "--set",
        "train.steps=2",
    )
    summary = json.loads(capsys.readouterr().out)
    assert (summary["folder"], summary["export"]) == (str(out), str(out / "export"))
    assert (summary["steps"], summary["outcome"], summary["processes"]) == (2, "complete", 1)
    assert summary["metrics"]["train"]["step"] == 2
    assert summary["metrics"]["train"]["loss"] == losses(out)[-1]
    # Without --json the person is told where the model is; here the finished run has no step left to do.
    run(
        tokenizer,
        "--recipe",
        str(trained / "small.toml"),
        "--out",
        str(out),
        "--resume",
        "--set",
        "train.steps=2",
    )
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"The model is in {out / 'export'};" in captured.err.replace("\n", "")


def test_labels_beyond_the_model(trained: Path, images: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "ar.toml"
    recipe.write_text(AR_RECIPE.format(data=images, tokenizer=trained / "tokenizer" / "export"))
    with pytest.raises(UserError, match=r"--set model\.num_classes=3"):
        run(ar, "--recipe", str(recipe), "--out", str(tmp_path / "ar"), "--set", "model.num_classes=2")
