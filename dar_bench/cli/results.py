"""``dar-bench results``: list, show and export result records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dar_bench.cli.help import examples

if TYPE_CHECKING:
    from dar_bench.results.record import Record
    from dar_bench.results.store import StoredRecord

_folder = click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Folder of records; folders inside it are searched too.",
)
_kind = click.option(
    "--kind",
    type=click.Choice(["reconstruction", "generation", "training"]),
    help="Only records of this kind.",
)
_model = click.option("--model", help="Only records of this model.")


@click.group(epilog=examples("dar-bench results list", "dar-bench results show 3f9a2b"))
def results() -> None:
    """List, show and export result records."""


@results.command("list", epilog=examples("dar-bench results list --model dar-tiny --score FD"))
@_folder
@_kind
@_model
@click.option("--score", default="", help="Only scores whose name begins with this.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_records(folder: Path, kind: str | None, model: str | None, score: str, as_json: bool) -> None:
    """List the scores of all records."""
    from dar_bench.console import print_json, print_table
    from dar_bench.results.export import COLUMNS, table
    from dar_bench.results.store import rows

    records = _read(folder, kind, model)
    if as_json:
        print_json([row for row in rows(records) if row["score"].lower().startswith(score.lower())])
        return
    print_table(COLUMNS, table(records, score=score), right=("value", "n"))


@results.command(
    "show", epilog=examples("dar-bench results show 3f9a2b", "dar-bench results show FILE --json")
)
@click.argument("record")
@_folder
@click.option("--json", "as_json", is_flag=True, help="Print the record as it is stored.")
def show(record: str, folder: Path, as_json: bool) -> None:
    """Show one record, given by a file, or by the beginning of its name or hash."""
    from dar_bench.results.store import RecordStore, canonical_text, read_record

    found = read_record(record) if Path(record).is_file() else RecordStore(folder).find(record).record
    if as_json:
        click.echo(canonical_text(found), nl=False)
        return
    _print_record(found)


@results.command("export", epilog=examples("dar-bench results export --format csv -o scores.csv"))
@_folder
@_kind
@_model
@click.option("--format", "format_name", type=click.Choice(["csv", "json", "markdown"]), default="csv")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="File to write; standard output without it."
)
def export_records(
    folder: Path, kind: str | None, model: str | None, format_name: str, output: Path | None
) -> None:
    """Write all records as one table (csv, markdown) or list (json)."""
    from dar_bench.files import write_text
    from dar_bench.results.export import export

    text = export(_read(folder, kind, model), format_name)
    if output is None:
        click.echo(text, nl=False)
    else:
        write_text(output, text)


@results.command(
    "add-training", epilog=examples("dar-bench results add-training runs/tiny --name my-tokenizer")
)
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="What the trained model is called.")
@_folder
def add_training(run: Path, name: str, folder: Path) -> None:
    """Record a finished training: its recipe, seed, curves and cost."""
    from dar_bench.results.store import RecordStore
    from dar_bench.results.training import training_record

    click.echo(RecordStore(folder).write(training_record(run, name)))


def _read(folder: Path, kind: str | None, model: str | None) -> list[StoredRecord]:
    """Return the readable records that pass the filters; name the others on standard error."""
    from dar_bench.console import note
    from dar_bench.results.store import RecordStore

    listing = RecordStore(folder).read()
    for problem in listing.problems:
        note(f"Skipped '{problem.path}': {problem.reason}")
    return [
        item
        for item in listing.records
        if kind in (None, item.record.kind) and model in (None, item.record.model.name)
    ]


def _print_record(record: Record) -> None:
    from dar_bench.console import console, print_table
    from dar_bench.results.export import display

    facts = {
        "kind": record.kind if record.origin == "measured" else f"{record.kind}, reported by {record.source}",
        "model": record.model.name,
        "weights": record.model.weights_sha256,
        "tokenizer": record.model.tokenizer,
        "parameters": f"{record.model.parameters:,}" if record.model.parameters is not None else None,
        "samples": record.samples,
        **{f"option {name}": value for name, value in sorted(record.options.items())},
        **{f"seed {use}": seed for use, seed in sorted(record.seeds.items())},
        **{name.replace("_", " "): value for name, value in record.environment if name != "packages"},
        **{name.replace("_", " "): value for name, value in record.cost},
        "command": " ".join(record.command),
        "created": record.created.isoformat(),
        "note": record.note,
    }
    if record.evaluator is not None:
        facts |= {
            "evaluator": record.evaluator.name,
            "extractor": record.evaluator.extractor,
            "reference": record.evaluator.reference,
        }
    print_table(
        ["field", "value"], [[name, value] for name, value in facts.items() if value not in ("", None)]
    )
    console.print()
    columns = ["score", "value", "95 %", "n", "protocol"]
    print_table(
        columns,
        [
            [score.name, display(score), _interval(score.bounds()), score.n, score.protocol]
            for score in record.scores
        ],
        right=("value", "n"),
    )
    for name, reason in sorted(record.unavailable.items()):
        console.print(f"{name}: not measured. {reason}")


def _interval(bounds: tuple[float, float] | None) -> str:
    return "" if bounds is None else f"{bounds[0]:.4g} to {bounds[1]:.4g}"
