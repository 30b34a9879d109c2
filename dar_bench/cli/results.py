"""``dar-bench results``: list, show, compare, verify and export result records."""

from __future__ import annotations

from collections.abc import Sequence
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
_origin = click.option(
    "--origin",
    type=click.Choice(["measured", "reported"]),
    help="Only what was measured here, or only what publications report; the paper's tables come with dar-bench.",
)
_option = click.option(
    "--option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="Only records with this option, repeatable.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(
    epilog=examples(
        "dar-bench results list", "dar-bench results show 3f9a2b", "dar-bench results verify 3f9a2b"
    )
)
def results() -> None:
    """List, show, compare, verify and export result records."""


@results.command(
    "list",
    epilog=examples(
        "dar-bench results list --model dar-tiny --score FD --option cfg=2.0",
        "dar-bench results list --origin reported --model dar-l",
    ),
)
@_folder
@_kind
@_model
@_origin
@_option
@click.option("--score", default="", help="Only scores whose name begins with this.")
@_json
def list_records(
    folder: Path,
    kind: str | None,
    model: str | None,
    origin: str | None,
    options: tuple[str, ...],
    score: str,
    as_json: bool,
) -> None:
    """List the scores of all records."""
    from dar_bench.console import print_json, print_table
    from dar_bench.results.export import COLUMNS, table
    from dar_bench.results.store import rows

    records = _read(folder, kind, model, origin, options)
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
    from dar_bench.results.selection import find_record
    from dar_bench.results.store import canonical_text

    found = find_record(record, folder).record
    if as_json:
        click.echo(canonical_text(found), nl=False)
        return
    _print_record(found)


@results.command(
    "export",
    epilog=examples(
        "dar-bench results export --format csv -o scores.csv",
        "dar-bench results export --format latex --model dar-tiny --score FD",
    ),
)
@_folder
@_kind
@_model
@_origin
@_option
@click.option("--score", default="", help="Only scores whose name begins with this.")
@click.option(
    "--format", "format_name", type=click.Choice(["csv", "json", "markdown", "latex"]), default="csv"
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="File to write; standard output without it."
)
def export_records(
    folder: Path,
    kind: str | None,
    model: str | None,
    origin: str | None,
    options: tuple[str, ...],
    score: str,
    format_name: str,
    output: Path | None,
) -> None:
    """Write all records as one table (csv, markdown, latex) or list (json).

    LaTeX tables need the package booktabs: one line per record, one column per score.
    """
    from dar_bench.files import write_text
    from dar_bench.results.export import export

    text = export(_read(folder, kind, model, origin, options), format_name, score=score)
    if output is None:
        click.echo(text, nl=False)
    else:
        write_text(output, text)


@results.command(
    "pareto",
    epilog=examples(
        "dar-bench results pareto --score 'FD[efficientnet-lite0]' --cost seconds",
        "dar-bench results pareto --score FID --cost parameters --origin reported",
    ),
)
@_folder
@_model
@_origin
@click.option("--score", required=True, help="Full name of a score.")
@click.option(
    "--cost",
    type=click.Choice(["parameters", "flops", "evaluations", "seconds", "preview", "memory"]),
    default="seconds",
    show_default=True,
    help="What less of is better.",
)
@click.option("--all", "all_rows", is_flag=True, help="Also show the records that are beaten.")
@_json
def pareto(
    folder: Path, model: str | None, origin: str | None, score: str, cost: str, all_rows: bool, as_json: bool
) -> None:
    """Show the records that no other beats in both a score and a cost.

    Only scores of one protocol and reference are set against each other; where there are several, those of the
    most records. Seconds and memory are compared on one device and precision only.
    """
    from dar_bench.console import print_json, print_table
    from dar_bench.results.ranking import COSTS, pareto_table

    rows = pareto_table(_read(folder, None, model, origin), score=score, cost=cost, all_rows=all_rows)
    if as_json:
        print_json(rows)
        return
    columns = ["record", "model", "options", COSTS[cost][0], score, *(["front"] if all_rows else [])]
    cells = [
        [row["record"], row["model"], row["options"], f"{row['cost']:.4g}", row["shown"]]
        + (["yes" if row["front"] else "no"] if all_rows else [])
        for row in rows
    ]
    print_table(columns, cells, right=(COSTS[cost][0], score))


@results.command(
    "compare",
    epilog=examples(
        "dar-bench results compare 3f9a2b 77c01d",
        "dar-bench results compare 3f9a2b 'D-AR Table 3, D-AR-L' --force",
    ),
)
@click.argument("first")
@click.argument("second")
@_folder
@click.option("--force", is_flag=True, help="Also compare scores of different protocols; the table says so.")
@_json
def compare(first: str, second: str, folder: Path, force: bool, as_json: bool) -> None:
    """Compare two records score by score: the difference, its standard error, and whether it is more than chance.

    Where both runs have the same seed, sample i comes from the same random numbers in both; the standard error
    of FD and IS then takes their correlation into account, which the sketches of the records tell.
    """
    from dar_bench.console import console, note, print_json, print_table
    from dar_bench.results.pairs import COLUMNS, comparison, json_rows, refuse, table_rows
    from dar_bench.results.selection import find_record

    pair = find_record(first, folder), find_record(second, folder)
    differences = comparison(*pair)
    if not force:
        refuse(*pair, differences)
    if as_json:
        print_json(json_rows(differences))
        return
    for title, item in zip(("first", "second"), pair, strict=True):
        console.print(f"{title}: {item.name}", highlight=False)
    print_table(COLUMNS, table_rows(differences), right=COLUMNS[1:5])
    for reason in dict.fromkeys(reason for one in differences for reason in one.reasons):
        note(f"Compared in spite of this: {reason}")


@results.command(
    "verify",
    epilog=examples(
        "dar-bench results verify 3f9a2b --samples 200",
        "dar-bench results verify results/generation-dar-l-0123456789ab.json --device cuda --batch-size 64",
    ),
)
@click.argument("record")
@click.option(
    "--samples", type=click.IntRange(min=1), default=200, show_default=True, help="Samples to make again."
)
@_folder
@click.option(
    "--batch-size", type=click.IntRange(min=1), default=32, show_default=True, help="Images at a time."
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
@click.option(
    "--weights",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Weights to use instead of the model's own.",
)
@_json
@click.pass_context
def verify(
    context: click.Context,
    record: str,
    samples: int,
    folder: Path,
    batch_size: int,
    device: str,
    weights: Path | None,
    as_json: bool,
) -> None:
    """Make some samples of a record again, by their seeds, and say whether they are the record's.

    The record's sketch, a small file beside it, holds hashes and projected features of 200 samples. Exit status 0:
    consistent, exactly or up to rounding; 1: not.
    """
    import dataclasses

    from dar_bench.console import console, print_json, progress
    from dar_bench.devices import load_options
    from dar_bench.results.selection import find_record
    from dar_bench.results.verifying import verify_record

    found = find_record(record, folder)
    loading = load_options(device, found.record.environment.precision or "float32", False)
    result = verify_record(found, loading, progress, samples=samples, batch_size=batch_size, weights=weights)
    if as_json:
        print_json({**dataclasses.asdict(result), "passed": result.passed})
    else:
        console.print(result.sentence(), highlight=False)
    if not result.passed:
        context.exit(1)


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


def _read(
    folder: Path, kind: str | None, model: str | None, origin: str | None = None, options: Sequence[str] = ()
) -> list[StoredRecord]:
    """Return the readable records that pass the filters; name the others on standard error."""
    from dar_bench.console import note
    from dar_bench.results.selection import Filter, select

    listing = select(folder, Filter(kind=kind, model=model, origin=origin, options=tuple(options)))
    for problem in listing.problems:
        note(f"Skipped '{problem.path}': {problem.reason}")
    return list(listing.records)


def _print_record(record: Record) -> None:
    from dar_bench.console import console, print_table
    from dar_bench.results.texts import display

    facts = {
        "kind": record.kind
        if record.origin == "measured"
        else f"{record.kind}, reported by {record.source}, {record.row}",
        "model": record.model.name,
        "weights": record.model.weights_sha256,
        "tokenizer": record.model.tokenizer,
        "parameters": f"{record.model.parameters:,}" if record.model.parameters is not None else None,
        "samples": record.samples,
        **{f"option {name}": value for name, value in sorted(record.options.items())},
        **{f"seed {use}": seed for use, seed in sorted(record.seeds.items())},
        **{name.replace("_", " "): value for name, value in record.environment if name != "packages"},
        **{name.replace("_", " "): value for name, value in record.cost if value != {}},
        **{
            f"according to the {one.by}": ", ".join(
                [*(f"{name} {value}" for name, value in {**one.options, **one.scores}.items()), one.note]
            )
            for one in record.readings
        },
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
