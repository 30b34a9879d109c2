"""What all measuring commands share: whose protocol, where records go, and how they are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from dar_bench.data import ImageSource
    from dar_bench.evaluation.measuring import Measurement
    from dar_bench.lint import Finding
    from dar_bench.results.record import Record

_NAMED = 3

F = TypeVar("F", bound=Callable[..., Any])


def writable(context: click.Context, parameter: click.Parameter, folder: Path) -> Path:
    """Click callback of an output folder: refuses one that cannot be written to, see ``require_writable``."""
    from dar_bench.files import require_writable

    if not context.resilient_parsing:
        require_writable(folder)  # told before the measurement, whose scores would be lost
    return folder


_PROTOCOL = (
    click.option(
        "--evaluator",
        "evaluators",
        multiple=True,
        help="Whose protocol measures; may be repeated, and 'all' takes every one that works here.  "
        "[default: native where its weights are here, else embedded]",
    ),
    click.option(
        "--force-reference",
        is_flag=True,
        help="Measure against data that are not meant for it; the record says so.",
    ),
    click.option(
        "--results",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("results"),
        show_default=True,
        callback=writable,
        help="Folder that the record is written to.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print the record as JSON."),
)
_SAMPLES = (
    click.option(
        "--strict",
        is_flag=True,
        help="Refuse samples in which the lint finds what would move scores (exit status 1).",
    ),
    click.option(
        "--skip-unreadable",
        is_flag=True,
        help="Leave out images that cannot be read, and count them, instead of stopping at the first.",
    ),
)


def measurement_options(command: F) -> F:
    """Add what ``protocol_options`` does, and ``--strict --skip-unreadable``."""
    return protocol_options(_add(command, _SAMPLES))


def protocol_options(command: F) -> F:
    """Add ``--evaluator --force-reference --results --json``."""
    return _add(command, _PROTOCOL)


def _add(command: F, options: Sequence[Callable[[F], F]]) -> F:
    for option in reversed(options):
        command = option(command)
    return command


def only_readable(source: ImageSource) -> tuple[ImageSource, str]:
    """Return the images that can be read, and the sentence that a record says of the others."""
    from dar_bench.console import note, progress
    from dar_bench.data.subset import readable
    from dar_bench.wording import counted

    with progress(f"Looking for unreadable images in {source.name}", len(source)) as bar:
        chosen, unreadable = readable(source, on_images=bar.advance)
    if not unreadable:
        return source, ""
    named = ", ".join(unreadable[:_NAMED]) + (", ..." if len(unreadable) > _NAMED else "")
    sentence = f"{len(unreadable)} unreadable of {counted(len(source), 'image')} of {source.name} left out ({named})."
    note(sentence)
    return chosen, sentence


def show_findings(findings: Sequence[Finding]) -> None:
    """Print what the lint found, one line each, on standard error."""
    from dar_bench.console import note

    for one in findings:
        note(f"Lint {one.severity} ({one.rule}): {one.seen} {one.effect}")


def finish(records: Sequence[Record], measurement: Measurement, results: Path, as_json: bool) -> None:
    """Write the records, then print them: one as a table, several side by side with why they differ.

    As JSON, the record of a single evaluator stands alone; several are a list, with their fingerprints.
    """
    from dar_bench.console import console, note
    from dar_bench.evaluators.names import how_to_get_fid
    from dar_bench.recording import write_records
    from dar_bench.results.store import canonical_text
    from dar_bench.wording import first_sentence

    show_findings(measurement.findings)
    paths = write_records(results, records, measurement)
    if as_json:
        if len(records) == 1 and not measurement.missing:
            click.echo(canonical_text(records[0]), nl=False)
        else:
            _print_json(records, measurement)
        for path in paths:
            note(f"Wrote the record {path}")
        return
    if len(records) == 1:
        _print_scores(records[0])
        hint = how_to_get_fid([record.evaluator.name for record in records if record.evaluator])
        if hint:
            note(hint)
    else:
        _print_side_by_side(records, measurement)
    for name, reason in records[0].unavailable.items():
        console.print(f"{name}: not measured. {reason}")
    for name, reason in measurement.missing.items():
        console.print(f"{name}: left out. {first_sentence(reason)}")
    if measurement.missing:
        console.print("What each of them needs: dar-bench doctor")
    for path in paths:
        console.print(f"Wrote the record {path}")


def _print_json(records: Sequence[Record], measurement: Measurement) -> None:
    from dataclasses import asdict

    from dar_bench.console import print_json
    from dar_bench.evaluation.differences import differences

    print_json(
        {
            "records": [record.model_dump(mode="json") for record in records],
            "fingerprints": [asdict(one.evaluator.fingerprint()) for one in measurement.results],
            "differences": differences(measurement.results),
            "missing": dict(measurement.missing),
            "lint": [one.as_json() for one in measurement.findings],
        }
    )


def _print_scores(record: Record) -> None:
    from dar_bench.console import print_table
    from dar_bench.score_tables import SCORE_COLUMNS, SCORE_NUMBERS, score_rows, title

    print_table(
        SCORE_COLUMNS, score_rows(record), title=title(record), right=SCORE_NUMBERS, optional=("protocol",)
    )


def _print_side_by_side(records: Sequence[Record], measurement: Measurement) -> None:
    from dar_bench.console import console, print_table
    from dar_bench.evaluation.differences import differences, fingerprint_table, score_table
    from dar_bench.score_tables import title

    columns, rows = score_table(measurement.results)
    print_table(columns, rows, title=title(records[0]), right=columns[1:])
    columns, rows = fingerprint_table(measurement.results)
    print_table(columns, rows, title="How each of them measures")
    for sentence in differences(measurement.results):
        console.print(sentence)
