"""One sweep from its specification to its records."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dar_bench.api import GeneratorCard
from dar_bench.console import note, progress
from dar_bench.recording import write_records
from dar_bench.roles import check_role
from dar_bench.runs.cache import DEFAULT_LIMIT, clear, parse_size
from dar_bench.runs.processes import Processes
from dar_bench.sweeps.execution import Executor
from dar_bench.sweeps.nodes import Node
from dar_bench.sweeps.plan import Plan
from dar_bench.sweeps.planner import make_plan
from dar_bench.sweeps.scoring import RowResult, check_counts, read_reference, score_row
from dar_bench.sweeps.specification import SweepSpec

if TYPE_CHECKING:
    from dar_bench.references.cards import Role

LIMIT_VARIABLE = "DAR_BENCH_CACHE_LIMIT"


@dataclass(frozen=True, kw_only=True)
class SweepOutcome:
    """What came of a sweep.

    Attributes:
        plan: that was executed.
        results: of the rows, in order; empty in processes other than the main one.
        paths: of the records.
    """

    plan: Plan
    results: list[RowResult]
    paths: list[Path]

    def missing(self) -> Mapping[str, str]:
        """Return name to reason of the evaluators that could not score some row."""
        found: dict[str, str] = dict(self.plan.panel.missing)
        for result in self.results:
            found |= result.missing
        return found


def run_sweep(
    spec: SweepSpec,
    executor: Executor,
    results: Path,
    *,
    force_reference: bool = False,
    strict: bool = False,
) -> SweepOutcome:
    """Plan a sweep, do what is missing, score every row, and write the records.

    Records that are there already stay: a sweep that is run again changes nothing.

    Args:
        spec: what is asked for.
        executor: does the work.
        results: folder of the records.
        force_reference: measure against data that are not meant for it.
        strict: stop at a row in whose samples the lint finds what moves scores; rows before it keep their records.

    Raises:
        UserError: what the model, the data, the evaluators or the disk refuse.
    """
    plan = make_plan(spec, executor.worker)
    warning = check_plan(plan, force_reference=force_reference)
    main = executor.processes.is_main
    if warning and main:
        note(warning)
    with _bar(f"Sweep of {plan.card.name}", _total(plan), executor.processes) as bar:

        def on_samples(node: Node, count: int) -> None:
            if bar is not None:
                bar.describe(node.title[:1].upper() + node.title[1:])
                bar.advance(count)

        executor.execute(plan, on_samples)
    if not main:
        return SweepOutcome(plan=plan, results=[], paths=[])
    with progress(f"Reading {plan.data.name}", None) as reading:
        references = read_reference(plan, reading.advance)
    found, paths = [], []
    with progress("Scoring", len(plan.rows)) as scoring:
        for row in plan.rows:
            result = score_row(plan, row, executor, references, note=warning, strict=strict)
            paths += write_records(results, result.records, result.measurement, kept_work=True)
            found.append(result)
            scoring.advance()
    clear(parse_size(os.environ.get(LIMIT_VARIABLE, str(DEFAULT_LIMIT))))
    return SweepOutcome(plan=plan, results=found, paths=paths)


def check_plan(plan: Plan, *, force_reference: bool) -> str:
    """Refuse a plan before any work that would be refused after it; return what a reader of records must know.

    Raises:
        UserError: too few samples, or a reference that is meant for something else and not forced.
    """
    check_counts(plan)
    purpose: Role = "generation" if isinstance(plan.card, GeneratorCard) else "reconstruction"
    return check_role(plan.data.name, purpose, plan.card.name, forced=force_reference)


def _total(plan: Plan) -> int:
    return sum(node.samples.count for node in plan.nodes)


def _bar(text: str, total: int, processes: Processes) -> Any:
    return progress(text, total) if processes.is_main else nullcontext()
