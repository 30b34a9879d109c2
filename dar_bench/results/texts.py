"""Values and options of a record as a person reads them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dar_bench.results.record import Record, Score


def display(score: Score) -> str:
    """Return the value with its standard error, both to two digits of the error: ``12.34 ± 0.56``."""
    if score.stderr is None:
        return f"{score.value:.4g}"
    if score.stderr == 0.0:
        return f"{score.value:.4g} ± 0"
    decimals = max(0, 1 - math.floor(math.log10(score.stderr)))
    return f"{score.value:.{decimals}f} ± {score.stderr:.{decimals}f}"


def option_text(record: Record, *, without: Sequence[str] = ()) -> str:
    """Return the options that a reader compares, as ``name value``, separated by commas.

    Values of nested options (training recipes) are left to the provenance.
    """
    shown = [
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in sorted(record.options.items())
        if name not in {*without, "family", "labels", "samples_fingerprint"}
        and isinstance(value, str | int | float)
    ]
    return ", ".join(shown)
