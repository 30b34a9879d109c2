"""The benchmark of the ADM protocol's parts runs and reports sane figures; nothing depends on how fast anything is."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "evaluators.py"


def run(*arguments: str) -> list[dict[str, Any]]:
    ran = subprocess.run(
        [sys.executable, SCRIPT, "--repeats", "1", "--json", *arguments], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["machine"]["cores"] >= 1
    return told["results"]


def test_frechet() -> None:
    full, below = run("--part", "frechet", "--dimensions", "48")
    for row in (full, below):
        assert set(row["medians"]) == {"ours", "sqrtm"}
        assert all(math.isfinite(figure) and figure > 0 for figure in row["medians"].values())
    # At full rank the matrix root is good to 1e-6; below it loses half of its digits.
    assert full["difference"] < 1e-6 and below["difference"] < 1e-2


def test_precision() -> None:
    (row,) = run("--part", "precision", "--dimensions", "64", "--reference", "120", "--samples", "150")
    assert set(row["medians"]) == {"ours", "ours-float32", "tensorflow"} and row["missing"] == {}
    assert all(0 < figure < 64 for figure in row["peak_gib"].values())
    # The same rules give the same rows, up to one where a rounding decides.
    for name in ("precision", "recall"):
        assert abs(row[name]["ours"] - row[name]["tensorflow"]) <= 1.01 / 120
    assert row["recall"]["ours"] > 0


def test_help() -> None:
    ran = subprocess.run([sys.executable, SCRIPT, "--help"], capture_output=True, text=True)
    assert ran.returncode == 0 and "python benchmarks/evaluators.py" in ran.stdout
