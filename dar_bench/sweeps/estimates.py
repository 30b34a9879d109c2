"""How long what is missing of a plan will take, judged by what was made before on this machine."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dar_bench.runs.folder import ABOUT, Run, RunStore
from dar_bench.sweeps.execution import is_done
from dar_bench.sweeps.nodes import CodesNode, ImagesNode, Node
from dar_bench.sweeps.plan import Plan


@dataclass(frozen=True, kw_only=True)
class NodeState:
    """What a plan says of one node.

    Attributes:
        title: of the node. kind: ``codes``, ``encoded`` or ``images``.
        samples: to be there in the end. cached: of these, there or not needed.
        shared_by: how many rows use it.
        seconds: that the rest will take; ``None`` where nothing like it was made here before.
    """

    title: str
    kind: str
    samples: int
    cached: int
    shared_by: int
    seconds: float | None


def node_states(plan: Plan) -> list[NodeState]:
    """Return the state of every node, in the order of the work."""
    return [_state(plan, node) for node in plan.nodes]


def _state(plan: Plan, node: Node) -> NodeState:
    cached = sum(stop - start for start, stop in node.shards() if is_done(plan, node, (start, stop)))
    rest = node.samples.count - cached
    run = _run_of(node)
    rate = 0.0 if rest == 0 else _seconds_per_sample(run)
    rows = sum(row.node is node or row.node.source is node for row in plan.rows)
    return NodeState(
        title=node.title,
        kind=run.key.kind,
        samples=node.samples.count,
        cached=cached,
        shared_by=rows,
        seconds=None if rate is None else rest * rate,
    )


def _run_of(node: Node) -> Run:
    if isinstance(node, CodesNode):
        return node.run
    if isinstance(node, ImagesNode):
        return node.views[max(node.views)].images
    raise TypeError(f"no run of {type(node).__name__}")


def _seconds_per_sample(run: Run) -> float | None:
    """Return what a sample took in runs of the same model, the most alike of them; ``None`` without one."""
    found: list[tuple[int, float]] = []
    store = RunStore()
    for entry in store.entries():
        with contextlib.suppress(OSError, ValueError, KeyError):
            about = json.loads((store.folder / entry.key / ABOUT).read_text(encoding="utf-8"))
            rate = _rate(store, entry.key)
            if about["kind"] == run.key.kind and rate is not None:
                likeness = _likeness(run.key.depends, about["depends"])
                if likeness is not None:
                    found.append((likeness, rate))
    return max(found)[1] if found else None


def _likeness(wanted: Mapping[str, Any], other: Mapping[str, Any]) -> int | None:
    """Return how much two runs have in common, ``None`` where they are of different models."""
    model = "decoder" if "decoder" in wanted else "model"
    if wanted[model] != other.get(model):
        return None
    return sum(2 if name == "options" else 1 for name in wanted if wanted[name] == other.get(name))


def _rate(store: RunStore, key: str) -> float | None:
    seconds, samples = 0.0, 0
    for file in (store.folder / key).glob("????????-????????.json"):
        start, stop = file.stem.split("-")
        seconds += float(json.loads(file.read_text(encoding="utf-8"))["wall"])
        samples += int(stop) - int(start)
    return seconds / samples if samples else None
