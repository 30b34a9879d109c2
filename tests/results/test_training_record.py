"""Records of trainings, from run folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dar_bench.cli.main import run
from dar_bench.errors import UserError
from dar_bench.hashing import sha256_bytes
from dar_bench.results.store import read_record
from dar_bench.results.training import training_record


def make_run(folder: Path, **last_session: Any) -> Path:
    session = {
        "command": ["/opt/env/bin/dar-bench", "train", "tokenizer", "--out", "/data/secret/run"],
        "versions": {"torch": "2.14.1"},
        "started": "2026-01-01T10:00:00+0000",
        "finished": "2026-01-01T10:01:00+0000",
        "outcome": "interrupted",
    }
    last = {**session, "finished": "2026-01-01T10:00:40+0000", "outcome": "complete", **last_session}
    train = {"steps": 10, "batch_size": 20, "seed": 7, "precision": "float32", "threads": 1}
    description = {
        "sessions": [session, last],
        "parameters": 123,
        "device": "cpu",
        "processes": 1,
        "recipe": {"train": train, "model": {"width": 64}},
    }
    (folder / "export").mkdir(parents=True)
    (folder / "export" / "model.safetensors").write_bytes(b"weights")
    (folder / "run.json").write_text(json.dumps(description))
    entries = [{"kind": "train", "step": s, "time": 0.0, "loss": 1.0 / s} for s in (5, 10)]
    entries.append({"kind": "eval", "step": 10, "time": 0.0, "psnr": 20.0})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return folder


def test_everything_that_explains_the_training(tmp_path: Path) -> None:
    record = training_record(make_run(tmp_path / "run"), "my-model")
    assert record.kind == "training"
    assert record.model.weights_sha256 == sha256_bytes(b"weights")
    assert record.options["model"] == {"width": 64}
    assert record.seeds == {"run": 7}
    assert record.samples == 200
    assert record.cost.seconds == 100.0
    assert record.cost.images_per_second == 2.0
    curves = {curve.name: (curve.steps, curve.values) for curve in record.curves}
    assert curves == {"train/loss": ([5, 10], [0.2, 0.1]), "eval/psnr": ([10], [20.0])}
    assert "secret" not in record.model_dump_json()


def test_command_writes_the_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_run(tmp_path / "run")
    assert (
        run(["results", "add-training", str(folder), "--name", "m", "--folder", str(tmp_path / "out")]) == 0
    )
    assert read_record(Path(capsys.readouterr().out.strip())).model.name == "m"


def test_unfinished_training(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'interrupted'"):
        training_record(make_run(tmp_path / "run", outcome="interrupted"), "m")


def test_no_run_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no training's run folder"):
        training_record(tmp_path, "m")
