"""Records as tables for a person, a spreadsheet or a text."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence

from dar_bench.results.record import Score
from dar_bench.results.store import StoredRecord, canonical_text, rows

FORMATS = ("csv", "json", "markdown")
COLUMNS = ("record", "kind", "model", "score", "value", "n", "reference")


def display(score: Score) -> str:
    """Return the value with its standard error, both to two digits of the error: ``12.34 ± 0.56``."""
    if score.stderr is None:
        return f"{score.value:.4g}"
    if score.stderr == 0.0:
        return f"{score.value:.4g} ± 0"
    decimals = max(0, 1 - math.floor(math.log10(score.stderr)))
    return f"{score.value:.{decimals}f} ± {score.stderr:.{decimals}f}"


def table(records: Sequence[StoredRecord], *, score: str = "") -> list[list[str]]:
    """Return the cells of ``COLUMNS``, one row per score; ``score`` keeps the names that begin with it."""
    return [
        [
            item.path.stem.rpartition("-")[2],
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


def export(records: Sequence[StoredRecord], format_name: str) -> str:
    """Return the records as one text in one of ``FORMATS``.

    ``csv`` has one row per score and a column per option, ``json`` the complete records, ``markdown`` the
    table that ``results list`` shows.
    """
    if format_name == "csv":
        return _csv(records)
    if format_name == "json":
        return json.dumps([json.loads(canonical_text(item.record)) for item in records], indent=2) + "\n"
    if format_name == "markdown":
        lines = [list(COLUMNS), ["---"] * len(COLUMNS), *table(records)]
        return "".join(
            "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines
        )
    raise ValueError(f"unknown format '{format_name}'")


def _csv(records: Sequence[StoredRecord]) -> str:
    flat = rows(records)
    # Records of different models have different options: the header is the union, in order of appearance.
    columns = list(dict.fromkeys(name for row in flat for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()
