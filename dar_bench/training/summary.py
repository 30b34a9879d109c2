"""What came of a training, in a few lines for a program that started it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dar_bench.training.curves import read_metrics

_BESIDE = ("kind", "step", "time")


def run_summary(folder: Path) -> dict[str, Any]:
    """Return what a run's folder says of itself.

    Returns:
        ``folder`` and ``export`` (paths), ``steps`` done, ``outcome``, ``parameters``, ``device``, ``processes``, and
        ``metrics``: the last entries of the log by kind (``train``, ``eval``), each with its ``step``; a number that
        was not finite is ``None``.

    Raises:
        UserError: the log cannot be read.
    """
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    session = run["sessions"][-1]
    last = {entry["kind"]: entry for entry in read_metrics(folder / "metrics.jsonl")}
    return {
        "folder": str(folder),
        "export": str(folder / "export"),
        "steps": session["last_step"],
        "outcome": session["outcome"],
        **{name: run[name] for name in ("parameters", "device", "processes")},
        "metrics": {
            kind: {
                "step": entry["step"],
                **{name: value for name, value in entry.items() if name not in _BESIDE},
            }
            for kind, entry in last.items()
        },
    }
