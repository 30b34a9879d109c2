"""Sweeps on a Ray cluster of two nodes on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# A process of its own, for Ray keeps threads and settings; the cluster's second node is killed while it works.
PROGRAM = """
import os, sys, time
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
import torch
torch.set_num_threads(1)
from ray.cluster_utils import Cluster
from dar_bench.sweeps.execution import Executor
from dar_bench.sweeps.planner import make_plan
from dar_bench.sweeps.ray_cluster import ray_executor
from dar_bench.sweeps.specification import SweepSpec
from dar_bench.sweeps.worker import Worker

alone, shared = sys.argv[1:]
spec = SweepSpec(
    model="dar-tiny", rows=({"tokens": "16"}, {"tokens": "32"}), swept=("tokens",),
    samples=24, batch_size=4, shard=4, labels="balanced",
)
worker = Worker()

os.environ["DAR_BENCH_HOME"] = alone
Executor(worker).execute(make_plan(spec, worker), lambda node, count: None)

os.environ["DAR_BENCH_HOME"] = shared
size = 80 * 2**20
cluster = Cluster(
    initialize_head=True,
    head_node_args={"num_cpus": 1, "object_store_memory": size, "include_dashboard": False},
)
second = cluster.add_node(num_cpus=1, object_store_memory=size)
cluster.wait_for_nodes()
lost = []

def on_samples(node, count):
    if not lost and node.source is not None:
        cluster.remove_node(second, allow_graceful=False)
        lost.append(True)

with ray_executor(worker, cluster.address) as executor:
    executor.execute(make_plan(spec, worker), on_samples)
assert lost
cluster.shutdown()
"""


@pytest.mark.slow
def test_a_cluster_that_loses_a_node_makes_what_one_machine_makes(tmp_path: Path) -> None:
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(alone), str(shared)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )
    try:
        _, errors = process.communicate(timeout=280)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, errors
    files = {
        home: {str(path.relative_to(home)): path.read_bytes() for path in home.rglob("*.safetensors")}
        for home in (alone, shared)
    }
    # Two views: images, features and first pixels; and codes.
    assert files[alone] == files[shared] and len(files[alone]) == 5 * 6 + 2
