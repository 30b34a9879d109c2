"""Two processes on the CPU (gloo) against one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from training_toy import ToyTask, recipe_of

from dar_bench.training.loop import train
from dar_bench.training.recipe import dump_toml

# Starting processes takes long on a busy machine; none of these tests measures time.
pytestmark = pytest.mark.timeout(1200)

SCRIPT = Path(__file__).parent / "training_toy.py"


def launch(
    folder: Path, *, resume: bool = False, **sections: dict[str, Any]
) -> subprocess.CompletedProcess[str]:
    recipe_file = folder.with_suffix(".toml")
    recipe_file.write_text(dump_toml(recipe_of(**sections)))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    arguments = [str(SCRIPT), str(recipe_file), str(folder), *(["--resume"] if resume else [])]
    return subprocess.run([*launcher, *arguments], capture_output=True, text=True)


def entries(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def settings(**train_section: object) -> dict[str, dict[str, Any]]:
    # A large eps keeps Adam's steps proportional to the gradient, so that rounding of tiny ones stays tiny.
    return {
        "train": {"steps": 12, "batch_size": 10, "log_every": 2, **train_section},
        "optimizer": {"lr": 0.05, "eps": 0.01, "clip_norm": 0.5},
    }


def test_two_processes_have_the_curve_of_one_and_may_resume_each_other(tmp_path: Path) -> None:
    recipe = recipe_of(**settings())
    train(ToyTask(recipe), recipe, tmp_path / "one")
    # The first half in one process, the second in two: one test for both claims.
    half = recipe_of(**settings(steps=6))
    train(ToyTask(half), half, tmp_path / "two")
    done = launch(tmp_path / "two", resume=True, **settings())
    assert done.returncode == 0, done.stderr
    one, two = entries(tmp_path / "one"), entries(tmp_path / "two")
    assert [entry["step"] for entry in two] == [2, 4, 6, 8, 10, 12]
    for name in ("loss", "plain", "masked", "grad_norm"):
        expected = [entry[name] for entry in one]
        assert [entry[name] for entry in two] == pytest.approx(expected, rel=1e-5), name
    # The curve moves by far more than the tolerance, so that agreeing means something.
    assert one[0]["loss"] > 1.01 * one[-1]["loss"]
    assert json.loads((tmp_path / "two" / "run.json").read_text())["processes"] == 2
    expected_weights = load_file(tmp_path / "one" / "export" / "model.safetensors")
    for name, value in load_file(tmp_path / "two" / "export" / "model.safetensors").items():
        torch.testing.assert_close(value, expected_weights[name], rtol=1e-5, atol=1e-6)
    # Only the main process speaks.
    assert done.stderr.count("step 12/12  loss") == 1


def test_two_processes_accumulate_and_stop_with_one_message(tmp_path: Path) -> None:
    """Started as any other launcher would, by the environment alone."""
    sections = settings(batch_size=12, micro_batch=3, log_every=1)
    recipe_file = tmp_path / "recipe.toml"
    recipe_file.write_text(dump_toml(recipe_of(**sections, toy={"explode_at": 60})))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    command = [sys.executable, str(SCRIPT), str(recipe_file), str(tmp_path / "run")]
    processes = [
        subprocess.Popen(
            command, env={**shared, "RANK": rank, "LOCAL_RANK": rank}, stderr=subprocess.PIPE, text=True
        )
        for rank in "01"
    ]
    main, other = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [1, 1], main + other
    assert "The loss or its gradient is not finite at step 6." in main
    assert "finite" not in other and "step 5/12" not in other
    # The first loss is taken before any update: the mean over four micro-batches is that of the whole batch.
    recipe = recipe_of(**settings(batch_size=12, log_every=1, steps=1))
    train(ToyTask(recipe), recipe, tmp_path / "one")
    assert entries(tmp_path / "run")[0]["plain"] == pytest.approx(
        entries(tmp_path / "one")[0]["plain"], rel=1e-5
    )
