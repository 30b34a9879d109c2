"""Real processes that are stopped and killed from outside."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from training_toy import ToyTask, recipe_of

from dar_bench.training import checkpoint
from dar_bench.training.loop import train
from dar_bench.training.recipe import dump_toml

# Starting processes takes long on a busy machine; none of these tests measures time.
pytestmark = pytest.mark.timeout(1200)

SCRIPT = Path(__file__).parent / "training_toy.py"
STEPS = 90
PAUSE = 0.01
KILLS = 2


def sections(workers: int = 0) -> dict[str, dict[str, Any]]:
    return {
        "train": {
            "steps": STEPS,
            "log_every": 3,
            "eval_every": 11,
            "checkpoint_every": 4,
            "workers": workers,
        },
        "toy": {"dropout": 0.2, "pause": PAUSE},
    }


def start(folder: Path, *, resume: bool, workers: int = 0) -> subprocess.Popen[str]:
    recipe_file = folder.with_suffix(".toml")
    recipe_file.write_text(dump_toml(recipe_of(**sections(workers))))
    command = [sys.executable, str(SCRIPT), str(recipe_file), str(folder), *(["--resume"] if resume else [])]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def logged_steps(folder: Path) -> int:
    try:
        return (folder / "metrics.jsonl").read_text().count("\n")
    except OSError:
        return 0


def wait_for_entries(folder: Path, count: int, process: subprocess.Popen[str]) -> None:
    while logged_steps(folder) < count and process.poll() is None:
        time.sleep(0.002)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    settings = sections()
    settings["toy"]["pause"] = 0.0
    recipe = recipe_of(**settings)
    train(ToyTask(recipe), recipe, folder)
    return folder


def assert_same_outcome(folder: Path, expected: Path) -> None:
    def entries(run: Path) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        return [
            {k: v for k, v in line.items() if k not in ("time", "images_per_second", "memory_gib")}
            for line in lines
        ]

    assert entries(folder) == entries(expected)
    assert (folder / "export" / "model.safetensors").read_bytes() == (
        expected / "export" / "model.safetensors"
    ).read_bytes()
    ours, theirs = checkpoint.latest(folder / "checkpoints"), checkpoint.latest(expected / "checkpoints")
    assert ours is not None and theirs is not None and ours.step == theirs.step == STEPS
    assert str(ours.tensors()["optimizer"]) == str(theirs.tensors()["optimizer"])
    assert not list(folder.rglob(".tmp-*"))


def test_killed_at_random_moments_it_ends_with_the_same_weights(tmp_path: Path, undisturbed: Path) -> None:
    folder = tmp_path / "run"
    moments = random.Random(time.time_ns())
    kills = 0
    while True:
        process = start(folder, resume=folder.exists())
        before = logged_steps(folder)
        if kills < KILLS:
            # Wait until it has got somewhere, then kill within the next dozen steps, wherever that may be.
            wait_for_entries(folder, before + 4, process)
            time.sleep(moments.uniform(0, 12 * PAUSE))
            process.kill()
        error = process.communicate()[1]
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, error
        kills += 1
    assert kills == KILLS
    assert_same_outcome(folder, undisturbed)


@pytest.mark.parametrize(("number", "workers"), [(signal.SIGINT, 0), (signal.SIGTERM, 1)])
def test_a_signal_writes_a_checkpoint_and_says_how_to_go_on(
    tmp_path: Path, undisturbed: Path, number: signal.Signals, workers: int
) -> None:
    folder = tmp_path / "run"
    process = start(folder, resume=False, workers=workers)
    wait_for_entries(folder, 5, process)
    process.send_signal(number)
    error = process.communicate()[1]
    assert process.returncode == 130, error
    last = error.strip().splitlines()[-1]
    assert "Stopped after step" in last and "--resume" in last
    assert "Traceback" not in error
    session = json.loads((folder / "run.json").read_text())["sessions"][-1]
    assert session["outcome"] == "interrupted"
    assert session["last_step"] == checkpoint.steps(folder / "checkpoints")[-1]
    settings = sections()
    settings["toy"]["pause"] = 0.0
    recipe = recipe_of(**settings)
    train(ToyTask(recipe), recipe, folder, resume=True)
    assert_same_outcome(folder, undisturbed)
