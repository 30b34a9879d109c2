"""What a row of a sweep cost: as if it had been made alone, from what was written down when its shards were made.

Rows share work, and a record is read without the others. So work that several rows share counts in full with each of
them, as it would if only this row were made; the costs of all rows together are more than the sweep took. Of one
thing the time alone was not measured: a row of the first K of N sampled codes gets K / N of the sampling's, by whole
groups, for every code takes the same pass of the network. The record says so (``Cost.attribution``).

Times, memory and batch sizes are kept beside the shards, and counts beside the view, so that a sweep that goes on
after a stop knows what was spent before it. What was not written down is absent from the record, never 0.
"""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import dataclass

from dar_bench.api import GeneratorCard
from dar_bench.counting import ImageCost, generation_cost, reconstruction_cost
from dar_bench.errors import UserError
from dar_bench.generation import GenerationRun
from dar_bench.reconstruction import square_batches
from dar_bench.runs.folder import Run
from dar_bench.sweeps.execution import Executor
from dar_bench.sweeps.made import extraction_name
from dar_bench.sweeps.nodes import CodesNode
from dar_bench.sweeps.plan import Plan, PlannedRow

IMAGE_COST = "image-cost"
"""Name that a view's counts are kept by."""

_COUNTING = 1
"""Rises when counting gives other numbers, so that older ones are counted again."""


@dataclass(frozen=True, kw_only=True)
class RowCost:
    """What a row took, ``None`` where that is not known.

    Attributes:
        model_seconds: making its images, codes included.
        seconds: that, and the extraction of its features by every extractor.
        peak_memory: bytes, the most of any of its shards; a decoding for several rows holds the images of all.
        batch_size: samples at a time; ``None`` also where shards were made with different ones.
        attribution: how time was attributed that was measured for more than this row; empty where none was.
    """

    model_seconds: float | None
    seconds: float | None
    peak_memory: int | None
    batch_size: int | None
    attribution: str = ""


def row_cost(row: PlannedRow) -> RowCost:
    """Return what a row took, from what is kept beside its shards."""
    node, view = row.node, row.view
    images, source = node.views[view].images, node.source
    share = 1.0 if source is None else source.share(view)
    parts = [_total(row, images, "model")]
    runs = [images]
    if source is not None:
        made = _total(row, source.run, "model")
        parts.append(None if made is None else share * made)
        runs.append(source.run)
    model_seconds = _sum(parts)
    extraction = [_total(row, images, extraction_name(name)) for name in node.views[view].shelves]
    memory = [run.fact(*shard, "memory") for run in runs for shard in node.shards()]
    batches = {run.fact(*shard, "batch") for run in runs for shard in node.shards()}
    batch = batches.pop() if len(batches) == 1 else None
    return RowCost(
        model_seconds=model_seconds,
        seconds=_sum([model_seconds, *extraction]),
        peak_memory=None if None in memory else int(max(one for one in memory if one is not None)),
        batch_size=None if batch is None else int(batch),
        attribution=_attribution(source, view, share),
    )


def row_image_cost(plan: Plan, row: PlannedRow, executor: Executor) -> ImageCost:
    """Return what one image of a row costs: counted once per view, and then kept with it."""
    run = row.node.views[row.view].images
    kept = _kept(run)
    if kept is not None:
        return kept
    seed = plan.spec.seed
    if isinstance(plan.card, GeneratorCard):
        labels = row.node.samples.labels[:1]
        cost = generation_cost(
            executor.worker.generator(plan.model),
            GenerationRun(labels=labels, seed=seed, options=row.options, batch_size=1),
        )
    else:
        first = next(square_batches(plan.data.open(), plan.card.image_size, 1, 1))[1]
        tokenizer = executor.worker.tokenizer(plan.model)
        cost = reconstruction_cost(tokenizer, first, seed=seed, options=row.options)
    with contextlib.suppress(
        UserError
    ):  # a store that can only be read costs a counting each time, nothing else
        run.keep(IMAGE_COST, {"version": _COUNTING, **dataclasses.asdict(cost)})
    return cost


def _kept(run: Run) -> ImageCost | None:
    found = run.kept(IMAGE_COST) or {}
    if found.pop("version", None) != _COUNTING:
        return None
    try:
        return ImageCost(**found)
    except TypeError:
        return None  # fields are missing or unknown: it is damaged, and counted again


def _attribution(source: CodesNode | None, view: int, share: float) -> str:
    if source is None or share == 1.0:
        return ""
    return f"sampling: {share:.4g} of the time that {source.tokens} codes took, for the first {view}"


def _total(row: PlannedRow, run: Run, name: str) -> float | None:
    return _sum([run.seconds(*shard, name) for shard in row.node.shards()])


def _sum(parts: list[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None
