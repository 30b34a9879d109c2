"""Making a check: measure what it names and judge it."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dar_bench.checks.judging import Outcome, judge_record
from dar_bench.checks.specification import Check
from dar_bench.errors import UserError
from dar_bench.options import parse_options
from dar_bench.plugins import registry
from dar_bench.remeasuring import Progress, Wanted, measure_again, wanted_again
from dar_bench.results.selection import find_record
from dar_bench.results.store import StoredRecord
from dar_bench.sketches import read_sketch

if TYPE_CHECKING:
    from dar_bench.api import LoadOptions
    from dar_bench.sketches import Sketch


def run_check(check: Check, folder: Path, loading: LoadOptions, progress: Progress) -> Outcome:
    """Measure what a check names and judge it.

    What is not on this machine (weights, a reference, an evaluator) makes the check ``not comparable`` with the
    reason. An expected record that does not exist is a mistake.

    Args:
        check: what.
        folder: of the records.
        loading: device and precision.
        progress: shows how far it is.

    Raises:
        UserError: the expected record does not exist or cannot be read, or an option is wrong.
    """
    started = time.perf_counter()
    expected = find_record(check.expect, folder)
    wanted = _wanted(check, expected)
    try:
        found, sketch = measure_again(wanted, loading, progress)
    except UserError as error:
        return Outcome(
            name=check.name,
            verdict="not comparable",
            reason=f"It cannot be measured on this machine. {error}",
            optional=check.optional,
            record=expected.name,
            seconds=time.perf_counter() - started,
        )
    kept = _sketch(expected)
    verdict, scores, reason, samples = judge_record(
        expected.record,
        found,
        limit=check.standard_errors,
        names=tuple(check.scores),
        sketches=(kept, sketch) if kept is not None and sketch is not None else None,
        same_samples=check.same_samples,
    )
    return Outcome(
        name=check.name,
        verdict=verdict,
        scores=scores,
        reason=reason,
        samples=samples,
        optional=check.optional,
        record=expected.name,
        seconds=time.perf_counter() - started,
    )


def _wanted(check: Check, expected: StoredRecord) -> Wanted:
    wanted = wanted_again(expected.record)
    card = registry().card(check.model or wanted.model)
    parse_options(card, {name: _text(value) for name, value in check.options.items()})
    options = {name: _text(value) for name, value in check.options.items()}
    return replace(
        wanted,
        model=check.model or wanted.model,
        options={**wanted.options, **options},
        samples=check.samples or wanted.samples,
        seed=wanted.seed if check.seed is None else check.seed,
        reference=check.reference or wanted.reference,
        evaluator=check.evaluator or wanted.evaluator,
    )


def _text(value: str | int | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _sketch(expected: StoredRecord) -> Sketch | None:
    if expected.record.sketch is None:
        return None
    try:
        return read_sketch(expected.path, expected.record.sketch)
    except UserError:
        return None  # scores can be judged without it, by the rule for independent runs
