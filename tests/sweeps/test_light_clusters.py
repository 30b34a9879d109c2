"""Two processes of a launcher, and a Ray cluster of this machine, give the records of one process.

The slow tests beside this one do the same with the usual extractor, three processes, and a node that is lost.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# A plugin on the path of every process, with an extractor that takes no time.
PLUGIN = """
from dar_bench.api import Plugin
from dar_bench.features.base import Features

class MeanColours:
    name = "mean-colours"

    def __init__(self, device="cpu"):
        pass

    def fingerprint(self):
        return "mean-colours"

    def extract(self, images):
        pool = images.float().mean(dim=(2, 3)).numpy()
        return Features(pool=pool, probabilities=None, extractor=self.name, fingerprint=self.fingerprint())

plugin = Plugin(name="light", extractors={"mean-colours": "light_plugin:MeanColours"})
"""

# The command line, with shards so small that there are some for everybody.
PROGRAM = """
import sys
import torch
torch.set_num_threads(1)
from dar_bench.cli.main import run
from dar_bench.sweeps.specification import SweepSpec

if __name__ == "__main__":
    SweepSpec.__init__.__kwdefaults__["shard"] = 4
    sys.exit(run(sys.argv[1:]))
"""

SWEEP = (
    *("sweep", "tokens", "--model", "dar-tiny", "--values", "16,32", "--samples", "16", "--batch-size", "4"),
    *("--reference", "emoji64:val", "--reference-limit", "16", "--force-reference", "--labels", "balanced"),
    *("--evaluator", "embedded:mean-colours", "--json"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the program and the plugin, which its metadata announce."""
    folder = tmp_path_factory.mktemp("light")
    (folder / "program.py").write_text(PROGRAM)
    (folder / "light_plugin.py").write_text(PLUGIN)
    metadata = folder / "light_plugin-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: light-plugin\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[dar_bench.plugins]\nlight = light_plugin:plugin\n")
    return folder


def sweep(
    folder: Path, name: str, launcher: tuple[str, ...] = (), more: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Run the sweep in a store of its own; return scores and sketches of its rows, and the stored files."""
    home, results = folder / f"home-{name}", folder / f"results-{name}"
    paths = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(
        [sys.executable, *launcher, str(folder / "program.py"), *SWEEP, *more, "--results", str(results)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "DAR_BENCH_HOME": str(home), "OMP_NUM_THREADS": "1", "PYTHONPATH": paths},
        start_new_session=True,
    )
    try:
        out, errors = process.communicate(timeout=150)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, errors
    records = [row["records"][0] for row in json.loads(out)[0]["rows"]]
    assert len(list(results.glob("generation-*.json"))) == 2  # written once, whoever made the work
    assert all(record["cost"]["model_seconds"] > 0 for record in records)
    return {
        "scores": [record["scores"] for record in records],
        "sketches": [record["sketch"] for record in records],
        "files": {
            str(path.relative_to(home)): path.read_bytes() for path in (home / "runs").rglob("*.safetensors")
        },
    }


@pytest.fixture(scope="module")
def alone(folder: Path) -> dict[str, Any]:
    """What one process makes."""
    found = sweep(folder, "alone")
    assert (
        len(found["files"]) == 3 * 4 + 2
    )  # codes and two views, in four shards; and the views' first pixels
    return found


def test_two_processes_of_a_launcher_make_what_one_makes(folder: Path, alone: dict[str, Any]) -> None:
    assert sweep(folder, "two", ("-m", "torch.distributed.run", "--nproc_per_node", "2")) == alone


def test_a_ray_cluster_makes_what_one_process_makes(folder: Path, alone: dict[str, Any]) -> None:
    assert sweep(folder, "ray", more=("--ray", "local")) == alone
