"""Several processes make the batches of one run: the same, in the same order, as one process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dar_bench.errors import UserError
from dar_bench.evaluation.team import join_team
from dar_bench.runs.processes import Processes

PROGRAM = """
import sys
import numpy as np, torch
from dar_bench.api import GeneratedBatch
from dar_bench.evaluation.measuring import Stopwatch
from dar_bench.evaluation.team import extracted_batches, join_team
from dar_bench.features.base import FeatureParts, Features
from dar_bench.generation import GenerationRun

class Toy:
    name = "toy"
    made = 0
    def fingerprint(self): return "toy"
    def extract(self, images):
        pool = images.float().mean(dim=(2, 3)).numpy()
        return Features(pool=pool, probabilities=None, extractor="toy", fingerprint="toy")
    def generate(self, labels, keys, options, *, previews, prefix):
        Toy.made += len(labels)
        values = [np.random.default_rng((keys.seed, i)).integers(0, 256, (3, 4, 4), dtype=np.uint8)
                  for i in keys.indices]
        images = torch.from_numpy(np.stack(values))
        yield GeneratedBatch(indices=keys.indices, labels=labels, images=images)

team, toy = join_team(), Toy()
run = GenerationRun(labels=list(range(23)), seed=5, options={}, batch_size=4)
parts, indices = FeatureParts(), []
for batch, features in extracted_batches(team, toy, run, [toy], Stopwatch()):
    parts.add(features["toy"])
    indices += batch.indices
if team.is_main:
    np.savez(sys.argv[1], pool=parts.join().pool, indices=indices, made=Toy.made)
else:
    assert not indices
"""


def launch(size: int, out: Path) -> dict[str, np.ndarray]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(out)],
            env=os.environ
            | {"OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            | {"RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": str(rank)},
        )
        for rank in range(size)
    ]
    assert [process.wait(timeout=240) for process in running] == [0] * size
    with np.load(out) as found:
        return dict(found)


def test_three_processes_are_as_one(tmp_path: Path) -> None:
    alone, shared = launch(1, tmp_path / "alone.npz"), launch(3, tmp_path / "shared.npz")
    assert shared["indices"].tolist() == alone["indices"].tolist() == list(range(23))
    np.testing.assert_array_equal(shared["pool"], alone["pool"])
    # Six batches: the first process made the first and the fourth.
    assert (int(alone["made"]), int(shared["made"])) == (23, 8)


@pytest.mark.parametrize(("rank", "size"), [("2", "2"), ("one", "2"), ("0", "0")])
def test_variables_that_make_no_sense_are_told(rank: str, size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", size)
    with pytest.raises(UserError, match="makes no sense"):
        join_team()


def test_without_a_launcher_one_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert join_team() == Processes(0, 1)
    assert join_team().is_main and join_team().device("auto") == "auto"
