"""Three processes of a launcher give what one gives, and write its records once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SWEEP = (
    *(
        "sweep",
        "tokens",
        "--model",
        "dar-tiny",
        "--values",
        "16,32",
        "--samples",
        "48",
        "--reference",
        "emoji64:val",
    ),
    *("--labels", "balanced", "--force-reference", "--json"),
)


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "DAR_BENCH_HOME": str(home), "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}


def scores(out: str) -> list[Any]:
    return [row["records"][0]["scores"] for row in json.loads(out)[0]["rows"]]


def tokens(home: Path) -> dict[str, bytes]:
    """Return the stored files of codes and image hashes by their path in the store."""
    return {str(path.relative_to(home)): path.read_bytes() for path in (home / "runs").rglob("*.safetensors")}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_three_processes_of_a_launcher_make_what_one_makes(tmp_path: Path) -> None:
    found = {}
    for count in (1, 3):
        home = tmp_path / f"home{count}"
        launcher = ["-m", "torch.distributed.run", "--nproc_per_node", str(count)] if count > 1 else []
        ran = subprocess.run(
            [sys.executable, *launcher, "-m", "dar_bench", *SWEEP, "--results", str(tmp_path / f"r{count}")],
            capture_output=True,
            text=True,
            timeout=900,
            env=environment(home),
        )
        assert ran.returncode == 0, ran.stderr
        found[count] = scores(ran.stdout), tokens(home)
        assert len(list((tmp_path / f"r{count}").glob("generation-*.json"))) == 2
    assert found[1] == found[3]
