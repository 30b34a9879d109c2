"""Doing a plan's work on a Ray cluster, shard by shard.

Every machine needs the same dar-bench, plugins and weights; no folder has to be shared, for codes and features
travel through Ray. What comes back is kept in this machine's store as if it had been made here, so that a local run
can go on with it and the other way round.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from dar_bench.array_files import Arrays
from dar_bench.errors import UserError
from dar_bench.plugins import missing_module
from dar_bench.runs.filling import Shard
from dar_bench.sweeps.execution import Executor, is_done
from dar_bench.sweeps.jobs import Job
from dar_bench.sweeps.made import Made
from dar_bench.sweeps.nodes import Node
from dar_bench.sweeps.plan import Plan
from dar_bench.sweeps.worker import Worker

LOCAL = "local"
"""In place of an address: a cluster of this machine alone, for the time of the command."""

WAITING = 2
"""Jobs per processor that are handed out at a time: enough to keep all busy, few enough to fit the memory."""

_worker: Worker | None = None


@contextmanager
def ray_executor(worker: Worker, address: str) -> Iterator[RayExecutor]:
    """Connect to a cluster and yield an executor that works on it.

    Args:
        worker: keeps the models of this process, which plans and scores.
        address: of the cluster (``head:6379``, ``auto``), or ``local``.

    Raises:
        UserError: Ray is not installed, or nothing answers at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Without it Ray hides the GPUs from tasks that ask for none, and warns of it.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ModuleNotFoundError as error:
        raise missing_module("Cannot use a Ray cluster.", error) from error
    try:
        ray.init(
            address=None if address == LOCAL else address,
            include_dashboard=False if address == LOCAL else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, ValueError, TimeoutError, RuntimeError) as error:
        raise UserError(
            f"No Ray cluster answers at '{address}'.",
            why=(str(error).strip().splitlines() or ["no message"])[0],
            hint="Start one with 'ray start --head', or use --ray local.",
        ) from error
    try:
        yield RayExecutor(worker, ray)
    finally:
        ray.shutdown()


class RayExecutor(Executor):
    """Hands every shard of a node to the cluster; the loss of a worker or a machine costs its shards only.

    Args:
        worker: of this process.
        ray: the module, connected.
    """

    def __init__(self, worker: Worker, ray: Any):
        super().__init__(worker, run_job=self._run_one)
        self._ray = ray

    def execute(self, plan: Plan, on_samples: Callable[[Node, int], Any]) -> None:
        """Make everything that the plan's rows need; see ``Executor.execute``."""
        for node in plan.nodes:
            waiting = []
            for shard in node.shards():
                if is_done(plan, node, shard):
                    on_samples(node, shard[1] - shard[0])
                else:
                    waiting.append(shard)
            self._execute(plan, node, waiting, on_samples)

    def _execute(
        self, plan: Plan, node: Node, waiting: list[Shard], on_samples: Callable[[Node, int], Any]
    ) -> None:
        remote = self._remote(plan.model.loading.device)
        processors = max(1, int(self._ray.cluster_resources().get("CPU", 1)))  # a head may wait for others
        running: dict[Any, Shard] = {}
        try:
            while waiting or running:
                while waiting and len(running) < WAITING * processors:
                    shard = waiting.pop(0)
                    codes = self.codes(node.source, shard) if node.source is not None else None
                    running[remote.remote(node.job(shard), codes)] = shard
                (done, *_), _ = self._ray.wait(list(running), num_returns=1)
                shard = running.pop(done)
                node.commit(shard, self._result(done))
                on_samples(node, shard[1] - shard[0])
        finally:
            for reference in running:
                self._ray.cancel(reference, force=False)

    def _run_one(self, job: Job, codes: Arrays | None) -> Made:
        return self._result(self._remote(job.model.loading.device).remote(job, codes))

    def _remote(self, device: str) -> Any:
        # Retried without end where its worker or machine is lost; an error of the job itself is never retried.
        return self._ray.remote(num_cpus=1, num_gpus=1 if device.startswith("cuda") else 0, max_retries=-1)(
            run_on_worker
        )

    def _result(self, reference: Any) -> Made:
        from ray.exceptions import RayError, RayTaskError

        try:
            made: Made = self._ray.get(reference)
        except RayTaskError as error:
            if isinstance(error.cause, UserError):
                cause = error.cause
                raise UserError(cause.what, why=cause.why, hint=cause.hint) from error
            raise
        except RayError as error:
            raise UserError(
                "The Ray cluster lost a piece of work.",
                why=(str(error).strip().splitlines() or [type(error).__name__])[0],
                hint="Run the same command again; what came back is kept.",
            ) from error
        return made


def run_on_worker(job: Job, codes: Arrays | None) -> Made:
    """Do a job in a process of the cluster, which keeps the models that it loaded for its next job."""
    global _worker
    _worker = _worker or Worker()
    started = time.perf_counter()
    made = job.run(_worker, codes)
    return made.after(time.perf_counter() - started)
