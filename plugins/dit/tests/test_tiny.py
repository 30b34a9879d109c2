"""The shipped model: it has learned something, and samples from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from dar_bench_dit.cards import DIT_TINY
from dar_bench_dit.sample import DitGenerator
from dar_bench_dit.train.objective import Denoising
from dar_bench_dit.train.recipes import RECIPES, DitRecipe
from dar_bench_dit.train.task import DitTask

from dar_bench.api import LoadOptions
from dar_bench.cli.main import run
from dar_bench.plugins import load_model
from dar_bench.training.recipe import load_recipe


@pytest.fixture(scope="module")
def tiny() -> DitGenerator:
    model = load_model("dit-tiny", LoadOptions())
    assert isinstance(model, DitGenerator)
    return model


def test_it_denoises_images_that_it_was_not_trained_on(tiny: DitGenerator) -> None:
    """The recipe's own held-out images, at the training's own validation noise: the recorded loss comes out again."""
    record = next(Path(__file__).parents[3].glob("results/measured/training-dit-tiny-*.json"))
    curves = {curve["name"]: curve for curve in json.loads(record.read_text())["curves"]}
    task = DitTask(load_recipe(DitRecipe, RECIPES / "dit-tiny.toml"))
    objective = Denoising(tiny.network, task.objective.process, tiny.pixel_scale)
    with torch.inference_mode():
        scores = task.evaluate(objective, objective, 0)
    # The record is of bfloat16-free float32 weights before they were rounded to float16: 11 bits.
    assert scores["validation_mse"] == pytest.approx(curves["eval/validation_mse"]["values"][-1], rel=0.01)
    assert scores["validation_mse"] < 0.05, "saying nothing gives 1"


def test_it_is_the_model_of_its_recipe(tiny: DitGenerator) -> None:
    task = DitTask(load_recipe(DitRecipe, RECIPES / "dit-tiny.toml"))
    assert task.card.config == DIT_TINY.config
    assert task.card.parameters == DIT_TINY.parameters
    assert task.card.class_names == DIT_TINY.class_names


def test_it_samples_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["sample", "dit-tiny", "--labels", "flags,food-drink", "--steps", "3", "--cfg", "2.0"]
    out = str(tmp_path / "out")
    assert run([*arguments, "--previews", "--out", out, "--npz", str(tmp_path / "x.npz"), "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["options"] == {"cfg": "2.0", "steps": 3, "solver": "ddim"}
    assert [sample["class"] for sample in made["samples"]] == ["Flags", "Food & Drink"]
    assert [len(sample["previews"]) for sample in made["samples"]] == [3, 3]
    assert run([*arguments[:4], "--temperature", "0.5"]) == 2
    assert "has no option 'temperature'" in capsys.readouterr().err
