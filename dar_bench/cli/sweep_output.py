"""Running sweeps for a person: plans, tables and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dar_bench.console import console, note, print_json, print_table
from dar_bench.wording import counted, first_sentence

if TYPE_CHECKING:
    from dar_bench.sweeps.running import SweepOutcome
    from dar_bench.sweeps.specification import SweepSpec, Texts
    from dar_bench.sweeps.training import TrainingStage, TrainingSweep


def show_plan(specs: Sequence[SweepSpec], as_json: bool, *, force_reference: bool) -> None:
    """Print the graph of every sweep: what each node makes, what is cached, how long the rest will take.

    What the sweep itself would refuse is refused here, but for what is merely not on this machine.
    """
    from dar_bench.sweeps.estimates import node_states
    from dar_bench.sweeps.planner import make_plan
    from dar_bench.sweeps.running import check_plan
    from dar_bench.sweeps.worker import Worker

    worker = Worker()
    shown = []
    for spec in specs:
        plan = make_plan(spec, worker, look_only=True)
        warning = check_plan(plan, force_reference=force_reference)
        states = node_states(plan)
        unknown = any(state.seconds is None for state in states)
        total = None if unknown else sum(state.seconds or 0.0 for state in states)
        shown.append(
            {
                "model": plan.card.name,
                "rows": [dict(row.texts) for row in plan.rows],
                "nodes": [vars(state) for state in states],
                "seconds": total,
                "missing": plan.missing,
            }
        )
        if as_json:
            continue
        print_table(
            ("step", "samples", "cached", "rows", "time"),
            [
                [state.title, state.samples, state.cached, state.shared_by, _duration(state.seconds)]
                for state in states
            ],
            title=f"{plan.card.name}: {counted(len(plan.rows), 'row')} from {counted(len(states), 'step')}",
            right=("samples", "cached", "rows", "time"),
        )
        if warning:
            console.print(warning)
        for sentence in plan.missing:
            console.print(f"Not on this machine: {sentence}")
        console.print(
            "Time to go: unknown, for nothing like it was made here before."
            if total is None
            else f"Time to go: {_duration(total)}, besides scoring and a reference that is read for the first time."
        )
    if as_json:
        print_json(shown)


def run(
    specs: Sequence[SweepSpec],
    *,
    results: Path,
    force_reference: bool,
    strict: bool,
    ray: str | None,
    as_json: bool,
) -> None:
    """Run sweeps and print their tables; only the main process of several prints."""
    from dar_bench.runs.processes import launched
    from dar_bench.sweeps.running import run_sweep
    from dar_bench.sweeps.worker import Worker

    processes = launched()
    with _executor(Worker(), ray) as executor:
        outcomes = [
            run_sweep(spec, executor, results, force_reference=force_reference, strict=strict)
            for spec in specs
        ]
    if processes.is_main:
        show(outcomes, as_json)


def show(outcomes: Sequence[SweepOutcome], as_json: bool) -> None:
    """Print one table for every sweep and evaluator, or all records as JSON."""
    from dar_bench.sweeps.tables import sweep_table

    if as_json:
        print_json([_json(outcome) for outcome in outcomes])
    for outcome in outcomes:
        plan = outcome.plan
        for evaluator in plan.panel.evaluators:
            if as_json or evaluator.name in outcome.missing():
                continue
            headings, rows = sweep_table(plan, outcome.results, evaluator.name)
            count = plan.nodes[0].samples.count
            print_table(
                headings,
                rows,
                title=f"{plan.card.name}: {counted(count, 'image')} against {plan.data.name}, {evaluator.name}",
                right=headings[len(plan.spec.swept) :],
            )
        _show_findings(outcome)
        for name, reason in outcome.missing().items():
            note(f"{name}: left out. {first_sentence(reason)}")
        note(f"{counted(len(outcome.paths), 'record')}: {', '.join(path.name for path in outcome.paths)}")


def _show_findings(outcome: SweepOutcome) -> None:
    """Print what the lint found, each finding once with the rows that have it."""
    from dar_bench.sweeps.passes import words

    rows: dict[str, list[str]] = {}
    for result in outcome.results:
        for one in result.measurement.findings:
            said = f"Lint {one.severity} ({one.rule}): {one.seen} {one.effect}"
            rows.setdefault(said, []).append(words(result.row.texts))
    for said, those in rows.items():
        everywhere = len(those) == len(outcome.results)
        note(said if everywhere else f"{said} [{'; '.join(those)}]")


def run_training(
    sweep: TrainingSweep,
    out: Path,
    *,
    plan_only: bool,
    results: Path,
    force_reference: bool,
    strict: bool,
    ray: str | None,
    as_json: bool,
) -> None:
    """Train and measure every row of a training sweep, then print one table for every stage."""
    from dar_bench.runs.processes import launched
    from dar_bench.sweeps.running import run_sweep
    from dar_bench.sweeps.training import check, measurement_spec, train_rows, training_plan
    from dar_bench.sweeps.training_tables import TrainedRow, training_tables
    from dar_bench.sweeps.worker import Worker

    check(sweep)
    if plan_only:
        planned = training_plan(sweep, out)
        if as_json:
            print_json(planned)
        else:
            print_table(
                ("training", "stage", "state"),
                [[one["row"], one["stage"], one["state"]] for one in planned],
                title=f"{counted(len(sweep.rows), 'row')} of {counted(len(sweep.stages), 'stage')}",
            )
        return

    def told(row: Texts, stage: TrainingStage, finished: bool) -> None:
        note(f"{'Already trained' if finished else 'Training'}: {stage.name}, {dict(row)}")

    found = []
    with _executor(Worker(), ray) as executor:
        for trained in train_rows(sweep, out, told):
            spec = measurement_spec(sweep, trained)
            outcome = run_sweep(spec, executor, results, force_reference=force_reference, strict=strict)
            if launched().is_main:
                found.append(TrainedRow(trained=trained, result=outcome.results[0], paths=outcome.paths))
    if not launched().is_main:
        return
    if as_json:
        print_json([one.as_json() for one in found])
        return
    for title, headings, rows in training_tables(sweep, found):
        print_table(headings, rows, title=title, right=headings[len(sweep.rows[0]) :])


def _executor(worker: Any, ray: str | None) -> Any:
    from contextlib import nullcontext

    from dar_bench.runs.processes import launched
    from dar_bench.sweeps.execution import Executor

    if ray is None:
        return nullcontext(Executor(worker, launched()))
    from dar_bench.sweeps.ray_cluster import ray_executor

    return ray_executor(worker, ray)


def _json(outcome: SweepOutcome) -> dict[str, Any]:
    from dar_bench.sweeps.reported import reported_for

    rows = []
    for result in outcome.results:
        reported = reported_for(outcome.plan.card, result.row.options)
        rows.append(
            {
                "options": dict(result.row.texts),
                "records": [record.model_dump(mode="json") for record in result.records],
                "lint": [one.as_json() for one in result.measurement.findings],
                "reported": None
                if reported is None
                else {"source": reported.source, "row": reported.row, "scores": dict(reported.scores)},
            }
        )
    return {
        "model": outcome.plan.card.name,
        "rows": rows,
        "files": [str(path) for path in outcome.paths],
        "missing": dict(outcome.missing()),
    }


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
