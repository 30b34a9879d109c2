"""Doing a plan's work on this machine, in this process and in those that run beside it."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

from dar_bench.array_files import Arrays
from dar_bench.errors import UserError
from dar_bench.evaluators.pixels import PairScorer
from dar_bench.features.base import FeatureParts, Features
from dar_bench.runs.filling import Shard, fill
from dar_bench.runs.locks import lock
from dar_bench.runs.processes import Processes
from dar_bench.sweeps.jobs import Job
from dar_bench.sweeps.made import Made, View
from dar_bench.sweeps.nodes import CodesNode, ImagesNode, Node
from dar_bench.sweeps.plan import Plan
from dar_bench.sweeps.worker import Worker

RunJob = Callable[[Job, Arrays | None], Made]
"""How a job is done: here, or on another machine."""


class Executor:
    """Makes what a plan's nodes lack, and hands out what they have.

    Whatever is missing when it is asked for is made then and there, so a cache that is cleared in the middle, or a
    shard that the disk damaged, costs time and nothing else.

    Args:
        worker: keeps the models of this process.
        processes: those that share the work, this one among them.
        run_job: does a job; in this process unless given.
    """

    def __init__(self, worker: Worker, processes: Processes | None = None, run_job: RunJob | None = None):
        self.worker = worker
        self.processes = processes or Processes()
        self._run_job = run_job or (lambda job, codes: job.run(worker, codes))

    def execute(self, plan: Plan, on_samples: Callable[[Node, int], Any]) -> None:
        """Make everything that the plan's rows need.

        Args:
            plan: without anything missing.
            on_samples: told of every node's shards how many samples are there now.

        Raises:
            UserError: what the model, the data or the disk refuse; all that was finished is kept.
        """
        for node in plan.nodes:
            shards = node.shards()

            def told(shard: Shard, node: Node = node) -> None:
                on_samples(node, shard[1] - shard[0])

            fill(
                shards,
                done=functools.partial(is_done, plan, node),
                make=functools.partial(self.make, node),
                lock_path=node.lock_path,
                first=self.processes.first_shard(len(shards)),
                on_shard=told,
            )

    def make(self, node: Node, shard: Shard) -> None:
        """Make one shard of one node and keep it."""
        codes = self.codes(node.source, shard) if node.source is not None else None
        started = time.perf_counter()
        made = self._run_job(node.job(shard), codes)
        node.commit(shard, made.after(time.perf_counter() - started))

    def codes(self, node: CodesNode, shard: Shard) -> Arrays:
        """Return a shard's codes; those that are missing or damaged are made."""
        found = self._again(node, shard, lambda: node.run.read(*shard))
        return {"codes": found["codes"]}

    def features(self, node: ImagesNode, view: View, fingerprint: str) -> Features:
        """Return the features of all samples of a view."""
        parts = FeatureParts()
        for shard in node.shards():
            parts.add(self._again(node, shard, functools.partial(node.features, view, fingerprint, shard)))
        return parts.join()

    def hashes(self, node: ImagesNode, view: View, shard: Shard) -> Arrays:
        """Return the SHA-256 of a shard's ``images`` and, where there are codes, ``codes``; uint8 (n, 32) each."""
        run = node.views[view].images
        found: Arrays = self._again(node, shard, lambda: run.read(*shard))
        return found

    def pairs(self, node: ImagesNode, view: View, scorer: PairScorer) -> None:
        """Give a scorer the pixel scores of all pairs of a view."""
        for shard in node.shards():
            scorer.take(self._again(node, shard, functools.partial(node.pairs, view, shard)))

    def _again(self, node: Node, shard: Shard, read: Callable[[], Any]) -> Any:
        found = read()
        if found is None:
            with lock(node.lock_path(shard[0]), wait=True):
                found = read()  # another process may have made it meanwhile
                if found is None:
                    self.make(node, shard)
                    found = read()
        if found is None:
            raise UserError(
                f"The store loses what is written to it: samples {shard[0]} to {shard[1]} of '{node.title}'.",
                hint="Check the disk of $DAR_BENCH_HOME, and that nothing else deletes files there.",
            )
        return found


def is_done(plan: Plan, node: Node, shard: Shard) -> bool:
    """Tell whether a shard need not be made: it is there, or nothing that is missing is made of it."""
    if node.done(shard):
        return True
    dependents = plan.dependents(node)
    return bool(dependents) and all(other.done(shard) for other in dependents)
