from __future__ import annotations

import json
from pathlib import Path

import pytest

from dar_bench.errors import UserError
from dar_bench.training.curves import read_metrics, summarize


def entries(count: int) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for step in range(1, count + 1):
        found.append({"kind": "train", "step": step, "time": 0.0, "loss": float(step)})
        found.append({"kind": "eval", "step": step, "time": 0.0, "rfid": 100.0 - step})
    return found


def test_training_is_averaged_and_evaluations_are_picked() -> None:
    summary = summarize(entries(10), points=4)
    assert summary["train"] == {"step": [2, 5, 7, 10], "loss": [1.5, 4.0, 6.5, 9.0]}
    assert summary["eval"] == {"step": [2, 5, 7, 10], "rfid": [98.0, 95.0, 93.0, 90.0]}


def test_short_logs_are_kept_whole_and_gaps_stay_visible() -> None:
    log = entries(2)
    log[0]["loss"] = None
    assert summarize(log, points=10)["train"] == {"step": [1, 2], "loss": [None, 2.0]}
    assert summarize([], points=10) == {"train": {"step": []}, "eval": {"step": []}}


def test_only_the_last_line_may_be_unfinished(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    lines = [json.dumps(entry) for entry in entries(2)]
    path.write_text("\n".join(lines) + '\n{"kind": "tr')
    assert read_metrics(path) == entries(2)
    path.write_text('{"kind": "tr\n' + lines[0] + "\n")
    with pytest.raises(UserError, match="Line 1"):
        read_metrics(path)
    with pytest.raises(UserError, match="Cannot read"):
        read_metrics(tmp_path / "none.jsonl")
