"""A sweep as a table: one row per setting, measured scores with intervals, the paper's numbers beside them."""

from __future__ import annotations

from collections.abc import Sequence

from dar_bench.recording import plain_options
from dar_bench.results.record import Record, Score
from dar_bench.results.texts import display
from dar_bench.score_tables import interval
from dar_bench.sweeps.plan import Plan
from dar_bench.sweeps.reported import reported_for
from dar_bench.sweeps.scoring import RowResult


def sweep_table(
    plan: Plan, results: Sequence[RowResult], evaluator: str
) -> tuple[list[str], list[list[str]]]:
    """Return headings and rows for one evaluator.

    The columns: the swept options, every score with its 95 % interval, then what the paper reports for the same
    options, under its own names (``reported FID``): other quantities than those of another extractor.

    Args:
        plan: with its card.
        results: of the rows.
        evaluator: whose records.
    """
    records = [record_of(result, evaluator) for result in results]
    reported = [reported_for(plan.card, result.row.options) for result in results]
    names = list(dict.fromkeys(score.name for record in records if record for score in record.scores))
    published = list(dict.fromkeys(name for row in reported if row for name in row.scores))
    headings = [
        *plan.spec.swept,
        *names,
        *(f"reported {name}" for name in published),
        *(["source"] if published else []),
    ]
    rows = []
    for result, record, published_row in zip(results, records, reported, strict=True):
        options = plain_options(result.row.options)
        cells = [str(options[name]) for name in plan.spec.swept]
        cells += [_cell(record.score(name)) if record else "" for name in names]
        if published:
            scores = published_row.scores if published_row else {}
            cells += [f"{scores[name]:g}" if name in scores else "" for name in published]
            cells.append(published_row.source if published_row else "")
        rows.append(cells)
    return headings, rows


def record_of(result: RowResult, evaluator: str) -> Record | None:
    """Return what an evaluator says of a row; ``None`` where it could not score it."""
    return next(
        (one for one in result.records if one.evaluator is not None and one.evaluator.name == evaluator), None
    )


def _cell(score: Score | None) -> str:
    if score is None:
        return ""
    # An interval that follows from the standard error says nothing that the value with its error does not.
    if score.interval is None:
        return display(score)
    return f"{score.value:.4g} ({interval(score)})"
