"""Records as tables for a person, a spreadsheet or a text."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence

from dar_bench.results.latex import latex_table
from dar_bench.results.store import StoredRecord, canonical_text, rows
from dar_bench.results.texts import display

FORMATS = ("csv", "json", "markdown", "latex")
COLUMNS = ("record", "kind", "model", "score", "value", "n", "reference")


def table(records: Sequence[StoredRecord], *, score: str = "") -> list[list[str]]:
    """Return the cells of ``COLUMNS``, one row per score; ``score`` keeps the names that begin with it."""
    return [
        [
            item.digits,
            item.record.kind if item.record.origin == "measured" else f"{item.record.kind} (reported)",
            item.record.model.name,
            entry.name,
            display(entry),
            str(entry.n),
            item.record.evaluator.reference if item.record.evaluator else "",
        ]
        for item in records
        for entry in item.record.scores
        if entry.name.lower().startswith(score.lower())
    ]


def export(records: Sequence[StoredRecord], format_name: str, *, score: str = "") -> str:
    """Return the records as one text in one of ``FORMATS``.

    ``csv`` has one row per score and a column per option, ``json`` the complete records, ``markdown`` the
    table that ``results list`` shows, ``latex`` a booktabs table with one row per record and one column per
    score. ``score`` keeps the scores whose names begin with it, except in ``json``.
    """
    if format_name == "csv":
        return _csv(records, score)
    if format_name == "json":
        return json.dumps([json.loads(canonical_text(item.record)) for item in records], indent=2) + "\n"
    if format_name == "markdown":
        lines = [list(COLUMNS), ["---"] * len(COLUMNS), *table(records, score=score)]
        return "".join(
            "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines
        )
    if format_name == "latex":
        return latex_table(records, score=score)
    raise ValueError(f"unknown format '{format_name}'")


def _csv(records: Sequence[StoredRecord], score: str) -> str:
    flat = [row for row in rows(records) if row["score"].lower().startswith(score.lower())]
    # Records of different models have different options: the header is the union, in order of appearance.
    columns = list(dict.fromkeys(name for row in flat for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()
