"""The paper's own numbers for a row of a sweep, where there are some."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from dar_bench.api import Card, ReportedScore
from dar_bench.errors import UserError
from dar_bench.options import parse_options


def reported_for(card: Card, options: Mapping[str, Any]) -> ReportedScore | None:
    """Return what a publication reports for exactly these options.

    Where several tables have the row, the one with the most rows for this model is the one about such a sweep.

    Args:
        card: of the model.
        options: complete.
    """
    sizes = Counter(reported.source for reported in card.reported)
    matching = [reported for reported in card.reported if _complete(card, reported) == dict(options)]
    return max(matching, key=lambda reported: sizes[reported.source], default=None)


def _complete(card: Card, reported: ReportedScore) -> dict[str, Any] | None:
    try:
        return parse_options(card, reported.options)
    except UserError:
        return None  # it names options that this card does not have, of another training
