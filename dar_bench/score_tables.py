"""Scores as tables for a person: each with its interval, its count and how it was measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dar_bench.results.texts import display
from dar_bench.wording import counted

if TYPE_CHECKING:
    from dar_bench.results.record import Record, Score

SCORE_COLUMNS = ("score", "value", "95 %", "n", "protocol")
SCORE_NUMBERS = ("value", "n")


def title(record: Record) -> str:
    """Return one line that says what was measured against what."""
    against = record.evaluator.reference if record.evaluator else ""
    count = record.evaluator.reference_count if record.evaluator else None
    if record.kind == "reconstruction":
        return f"{record.model.name}: {counted(record.samples, 'reconstruction')} of {against}"
    of = f"{counted(count, 'image')} of {against}" if count else against
    return f"{record.model.name}: {counted(record.samples, 'sample')} against {of}"


def score_rows(record: Record) -> list[list[str]]:
    """Return the cells of ``SCORE_COLUMNS`` for every score of a record."""
    return [
        [score.name, display(score), interval(score), f"{score.n}", score.protocol] for score in record.scores
    ]


def interval(score: Score) -> str:
    """Return the 95 % interval with as many digits as its width warrants, or nothing."""
    bounds = score.bounds()
    return "" if bounds is None else f"{bounds[0]:.4g} to {bounds[1]:.4g}"


def comparison_rows(records: Sequence[tuple[str, Record]]) -> tuple[list[str], list[list[str]]]:
    """Return headings and rows that put records of one protocol side by side, one column for each.

    Args:
        records: heading and record.

    Returns:
        Headings, and one row per score with value and standard error; scores that a record lacks are empty.
    """
    names = list(dict.fromkeys(score.name for _, record in records for score in record.scores))
    rows = []
    for name in names:
        found = [record.score(name) for _, record in records]
        rows.append([name, *(display(score) if score else "" for score in found)])
    return ["score", *(heading for heading, _ in records)], rows


NOT_FID = "It is named after them, for it is another quantity than FID and does not compare with it."
"""Said wherever distances on other features than those of FID are shown for the first time."""
