"""A sweep that is killed anywhere, or made by several processes, ends with the tokens of one that ran through."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

# One process loads the libraries and forks a child for every attempt: starting Python anew would take longer than the
# work. A child runs the plan's work until it is done or its parent kills it.
PROGRAM = """
import os, random, signal, sys, time
import torch
torch.set_num_threads(1)
from pathlib import Path
from dar_bench.runs.processes import Processes
from dar_bench.sweeps.execution import Executor
from dar_bench.sweeps.planner import make_plan
from dar_bench.sweeps.specification import SweepSpec
from dar_bench.sweeps.worker import Worker

import dar_bench.features.efficientnet
from dar_bench.features.base import Features

class MeanColours:
    # Takes no time; in the place of the embedded one.
    name = "mean-colours"

    def __init__(self, device):
        pass

    def fingerprint(self):
        return "mean-colours"

    def extract(self, images):
        pool = images.float().mean(dim=(2, 3)).numpy()
        return Features(pool=pool, probabilities=None, extractor=self.name, fingerprint=self.fingerprint())

dar_bench.features.efficientnet.EfficientNetLite0 = MeanColours
spec = SweepSpec(
    model="dar-tiny",
    rows=({"cfg": "2.0", "tokens": "16"}, {"cfg": "2.0", "tokens": "32"}),
    swept=("tokens",),
    samples=48, batch_size=4, shard=4, labels="balanced",
)
worker = Worker()
worker.generator(make_plan(spec, worker).model)

def start(home, processes=Processes()):
    child = os.fork()
    if child == 0:
        os.environ["DAR_BENCH_HOME"] = home
        Executor(worker, processes).execute(make_plan(spec, worker), lambda node, count: None)
        os._exit(0)
    return child

def attempt(home, seconds):
    child = start(home)
    if seconds is None:
        return os.waitpid(child, 0)[1]
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]

whole, killed, shared = sys.argv[1:]
started = time.monotonic()
assert attempt(whole, None) == 0
duration = time.monotonic() - started
random.seed(int(os.environ.get("KILL_SEED", "0")))
deaths = 0
for _ in range(20):
    # A fifth of the whole run at most: 20 of these reach all its parts, and most of them hit it at work.
    deaths += attempt(killed, random.uniform(0, duration / 5)) == signal.SIGKILL
assert attempt(killed, None) == 0
children = [start(shared, Processes(rank, 3)) for rank in range(3)]
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
print(deaths)
"""


def contents(home: Path) -> dict[str, str]:
    """Return the hash of every array file of a store, by its path in it."""
    return {
        str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in home.rglob("*.safetensors")
        if not path.name.startswith(".")
    }


def test_twenty_kills_or_three_processes_leave_the_tokens_as_they_were(tmp_path: Path) -> None:
    whole, killed, shared = (tmp_path / name for name in ("whole", "killed", "shared"))
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(whole), str(killed), str(shared)],
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) >= 5  # some attempts may end by themselves, once all is made
    assert contents(killed) == contents(whole)
    assert contents(shared) == contents(whole)
    kinds = [
        json.loads(path.read_text())["kind"]
        for path in whole.rglob("run.json")
        if path.parent.parent.name == "runs"
    ]
    assert sorted(kinds) == ["codes", "images", "images"]
