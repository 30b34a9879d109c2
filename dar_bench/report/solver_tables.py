"""Reconstruction scores by solver and number of steps, as the paper's Table 2."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape

from dar_bench.report.entries import Entry
from dar_bench.report.leaderboard import model_name
from dar_bench.results.ranking import lower_is_better
from dar_bench.results.texts import display
from dar_bench.score_tables import interval


def solver_tables(entries: Sequence[Entry]) -> list[str]:
    """Return a table for every model, evaluator and score with more than one solver or step count."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        options = entry.record.options
        if entry.record.kind == "reconstruction" and "solver" in options and "steps" in options:
            groups.setdefault(_identity(entry), []).append(entry)
    tables = []
    for group in groups.values():
        if len({_place(entry) for entry in group}) > 1:
            names = dict.fromkeys(score.name for entry in group for score in entry.record.scores)
            tables += [_table(group, name) for name in names]
    return tables


def _identity(entry: Entry) -> str:
    record = entry.record
    others = {name: value for name, value in record.options.items() if name not in ("solver", "steps")}
    weights = record.model.weights_sha256 or ""
    reference = record.evaluator.reference_fingerprint if record.evaluator else ""
    return json.dumps(
        [model_name(entry), weights, record.origin, entry.evaluator, reference, record.samples, others],
        default=str,
    )


def _place(entry: Entry) -> tuple[str, int]:
    return str(entry.record.options["solver"]), int(entry.record.options["steps"])


def _table(group: Sequence[Entry], name: str) -> str:
    cells = {_place(entry): entry for entry in group if entry.score(name) is not None}
    solvers = list(dict.fromkeys(solver for solver, _ in cells))
    steps = sorted({count for _, count in cells})
    values = {place: score.value for place, entry in cells.items() if (score := entry.score(name))}
    best = (min if lower_is_better(name) else max)(values, key=lambda place: values[place])
    head = "".join(f'<th scope="col">{count} steps</th>' for count in steps)
    rows = ""
    for solver in solvers:
        row = "".join(_cell(cells.get((solver, count)), name, (solver, count) == best) for count in steps)
        rows += f'<tr><th scope="row">{escape(solver)}</th>{row}</tr>'
    first = group[0]
    caption = f"{model_name(first)}: {name} ({first.record.origin}, {first.record.samples:,} images)"
    return (
        f'<div class="scroll"><table class="pivot"><caption>{escape(caption)}</caption>'
        f'<thead><tr><th scope="col">solver</th>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _cell(entry: Entry | None, name: str, best: bool) -> str:
    score = entry.score(name) if entry else None
    if entry is None or score is None:
        return "<td></td>"
    kind = "number best" if best else "number"
    hover = f"95 %: {interval(score)}" if interval(score) else "no interval reported"
    text = f'<button type="button" class="link" data-key="{entry.key}">{escape(display(score))}</button>'
    return f'<td class="{kind}" title="{escape(hover)}">{text}</td>'
