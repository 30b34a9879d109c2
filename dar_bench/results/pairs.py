"""Two stored records side by side, for ``dar-bench results compare``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dar_bench.errors import UserError
from dar_bench.results.comparison import Difference, compare_records
from dar_bench.results.store import StoredRecord
from dar_bench.results.texts import display
from dar_bench.sketches import Sketch, read_sketch

COLUMNS = ("score", "first", "second", "second - first", "standard errors", "verdict")


def comparison(first: StoredRecord, second: StoredRecord) -> list[Difference]:
    """Return the differences of two stored records, with the help of their sketches where both are there.

    Raises:
        UserError: they have no score in common.
    """
    one, other = _sketch(first), _sketch(second)
    sketches = (one, other) if one is not None and other is not None else None
    differences = compare_records(first.record, second.record, sketches)
    if not differences:
        names = [", ".join(score.name for score in item.record.scores) or "none" for item in (first, second)]
        raise UserError(
            "The two records have no score in common.",
            why=f"The first has {names[0]}; the second {names[1]}.",
        )
    return differences


def refuse(first: StoredRecord, second: StoredRecord, differences: Sequence[Difference]) -> None:
    """Refuse records none of whose scores may be compared.

    Raises:
        UserError: with the reasons.
    """
    if all(one.reasons for one in differences):
        reasons = dict.fromkeys(reason for one in differences for reason in one.reasons)
        raise UserError(
            f"'{first.name}' and '{second.name}' are not comparable.",
            why="; ".join(reasons) + ".",
            hint="Measure both in the same way, or look at them side by side with --force.",
        )


def table_rows(differences: Sequence[Difference]) -> list[list[str]]:
    """Return the cells of ``COLUMNS``."""
    rows = []
    for one in differences:
        away = one.standard_errors
        error = "" if one.stderr is None else f" ± {one.stderr:.2g}"
        rows.append(
            [
                one.name,
                display(one.first),
                display(one.second),
                f"{one.value:+.4g}{error}",
                "" if away is None else f"{away:+.2f}",
                verdict(one),
            ]
        )
    return rows


def verdict(difference: Difference) -> str:
    """Return what the difference means, in words."""
    if difference.reasons:
        return "not comparable"
    if difference.separable is None:
        return "no standard error"
    paired = f" (paired, correlation {difference.correlation:.2f})" if difference.correlation else ""
    return ("differ" if difference.separable else "not separable") + paired


def json_rows(differences: Sequence[Difference]) -> list[dict[str, Any]]:
    """Return the differences as JSON values."""
    return [
        {
            "score": one.name,
            "first": one.first.value,
            "second": one.second.value,
            "difference": one.value,
            "stderr": one.stderr,
            "correlation": one.correlation,
            "separable": one.separable,
            "reasons": list(one.reasons),
        }
        for one in differences
    ]


def _sketch(item: StoredRecord) -> Sketch | None:
    try:
        return read_sketch(item.path, item.record.sketch)
    except UserError:
        return None  # the errors are then those of independent runs
