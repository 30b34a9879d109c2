"""The training command from end to end, on a handful of images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dar_bench_dit.model import dit_config
from dar_bench_dit.sample import DitGenerator
from dar_bench_dit.train.commands import dit
from dar_bench_dit.train.objective import Denoising
from dar_bench_dit.train.recipes import RECIPES, DitRecipe
from dar_bench_dit.train.task import DitTask
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from dar_bench.api import LoadOptions, SampleKeys
from dar_bench.errors import UserError
from dar_bench.nn.diffusion_transformer import DiffusionTransformer
from dar_bench.options import parse_options
from dar_bench.plugins import load_model, registry
from dar_bench.sampling.diffusion import linear_process
from dar_bench.training.recipe import load_recipe

from .conftest import GOLDEN_SIZES

RECIPE = """
[data]
train = "{data}"
crop = "shift"
shift = 1
label_dropout = 0.2

[model]
image_size = 16
autoencoder = ""
pixel_scale = 0.5
patch_size = 4
width = 32
depth = 2
heads = 2
num_classes = 3

[optimizer]
lr = 1e-2

[evaluation]
held_out = 0.2
samples = 3
steps = 3

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


@pytest.fixture(scope="module")
def recipe(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipes") / "small.toml"
    path.write_text(RECIPE.format(data=images))
    return path


def run(*arguments: str) -> None:
    dit.main(list(arguments), standalone_mode=False)


def logged(folder: Path, kind: str) -> list[dict[str, Any]]:
    entries = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [entry for entry in entries if entry["kind"] == kind]


@pytest.fixture(scope="module")
def trained(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    run("--recipe", str(recipe), "--out", str(folder))
    return folder


def test_training_logs_draws_and_exports(trained: Path) -> None:
    entries = logged(trained, "train")
    assert [entry["step"] for entry in entries] == [1, 2, 3, 4]
    for entry in entries:
        assert entry["loss"] == pytest.approx(entry["mse"] + entry["bound"], rel=1e-5)
    # A network that says nothing is wrong by the noise itself, whose mean square is 1.
    assert entries[0]["mse"] == pytest.approx(1.0, abs=0.15)
    assert [entry["step"] for entry in logged(trained, "eval")] == [2, 4]
    assert (trained / "images" / "samples-00000004.png").is_file()
    card = registry().card(str(trained / "export"))
    model = load_model(card.name, LoadOptions())
    assert isinstance(model, DitGenerator)
    assert model.pixel_scale == 0.5
    keys = SampleKeys(seed=0, indices=(0, 1))
    (batch,) = model.generate(torch.tensor([0, 2]), keys, parse_options(card, {"steps": "2"}))
    assert batch.images.shape == (2, 3, 16, 16)


def test_a_resumed_training_ends_at_the_same_weights(recipe: Path, trained: Path, tmp_path: Path) -> None:
    run("--recipe", str(recipe), "--out", str(tmp_path / "run"), "--set", "train.steps=2")
    run("--recipe", str(recipe), "--out", str(tmp_path / "run"), "--resume")
    whole = load_file(trained / "export" / "model.safetensors")
    resumed = load_file(tmp_path / "run" / "export" / "model.safetensors")
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert [entry["loss"] for entry in logged(trained, "train")] == [
        entry["loss"] for entry in logged(tmp_path / "run", "train")
    ]


def test_the_table_of_places_is_not_trained(trained: Path) -> None:
    network = DiffusionTransformer(
        dit_config(json.loads((trained / "export" / "model.json").read_text())["config"])
    )
    network.initialize()
    exported = load_file(trained / "export" / "model.safetensors")
    assert torch.equal(exported["pos_embed"], network.pos_embed)
    assert not torch.equal(exported["final_layer.linear.bias"], network.final_layer.linear.bias)


def examples(recipe: Path, *changes: str) -> DitTask:
    return DitTask(load_recipe(DitRecipe, recipe, changes))


def test_examples_follow_from_seed_and_draw(recipe: Path) -> None:
    task = examples(recipe, "data.label_dropout=0.5")
    first, again, other = task.dataset[3, 7], task.dataset[3, 7], task.dataset[3, 8]
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["noise"], other["noise"])
    drawn = [task.dataset[3, draw] for draw in range(400)]
    dropped = sum(int(example["label"]) == 3 for example in drawn)
    assert 150 < dropped < 250  # half of 400, give or take five standard deviations
    times = torch.stack([example["t"] for example in drawn]).float()
    assert 0 <= float(times.min()) < 20
    assert 980 < float(times.max()) <= 999
    assert {int(example["label"]) for example in drawn} == {
        3,
        int(task.dataset.whole.labels[task.dataset.indices[3]]),
    }


def test_held_out_images_are_not_trained_on(recipe: Path, images: Path) -> None:
    task = examples(recipe)
    assert (len(task.dataset), len(task.held_out)) == (10, 2)
    assert not set(task.dataset.indices) & set(task.held_out.indices)
    apart = examples(recipe, f"data.val={images}", "evaluation.held_out=0")
    assert (len(apart.dataset), len(apart.held_out)) == (12, 12)
    with pytest.raises(UserError, match="not both"):
        examples(recipe, f"data.val={images}")


class Doubling:
    """Stands in for an autoencoder: latents of mean 2 and deviation 3."""

    def moments(self, images: Tensor) -> tuple[Tensor, Tensor]:
        shape = (len(images), 4, 8, 8)
        return torch.full(shape, 2.0), torch.full(shape, 3.0)


def test_latents_are_points_of_the_posterior() -> None:
    objective = Denoising(DiffusionTransformer(dit_config(GOLDEN_SIZES)), linear_process())
    objective.frozen.autoencoder = Doubling()  # type: ignore[assignment]
    spread = torch.randn(2, 4, 8, 8)
    batch = {"image": torch.zeros(2, 3, 64, 64, dtype=torch.uint8), "spread": spread}
    torch.testing.assert_close(objective.clean(batch), 2 + 3 * spread)
    assert not any("autoencoder" in name for name in objective.state_dict())


def test_pixels_are_scaled() -> None:
    objective = Denoising(DiffusionTransformer(dit_config(GOLDEN_SIZES)), linear_process(), pixel_scale=0.5)
    batch = {"image": torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1)}
    assert objective.clean(batch).flatten().tolist() == [-0.5, 0.5]


@pytest.mark.parametrize("name", sorted(path.stem for path in RECIPES.glob("*.toml")))
def test_shipped_recipes_are_valid(name: str) -> None:
    load_recipe(DitRecipe, RECIPES / f"{name}.toml")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("model.patch_size=5", "do not divide into patches"),
        ("model.num_classes=2", "labels 0 to 2, the model 2 classes"),
        ("model.width=30", "must be a multiple of 4 and of heads"),
        ("evaluation.cfg=linear", "Malformed guidance schedule"),
        ("model.autoencoder=sd-vae-ft-ema", "1 for latents"),
        ("data.label_dropout=2", "must be from 0 to 1"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(
    recipe: Path, tmp_path: Path, change: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        run("--recipe", str(recipe), "--out", str(tmp_path / "run"), "--set", change)
    assert not (tmp_path / "run").exists()


def test_latents_need_the_autoencoders_weights(images: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="weights of 'sd-vae-ft-ema' are not on this machine"):
        run("--recipe", "dit-xl-2", "--data", str(images), "--out", str(tmp_path / "run"))
