"""``dar-bench check``: fail where a number moved."""

from __future__ import annotations

import os
from pathlib import Path

import click

from dar_bench.cli.help import examples


@click.command(
    epilog=examples(
        "dar-bench check",
        "dar-bench check 'dar-tiny, guidance 2.0' --junit check.xml",
        "dar-bench check --file my/checks.toml --folder my/results --device cuda",
    )
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path),
    default=Path("checks.toml"),
    show_default=True,
    help="What is checked.",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Folder of the expected records; the paper's tables are known without it.",
)
@click.option("--list", "only_list", is_flag=True, help="List the checks and measure nothing.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="What the networks compute in.",
)
@click.option("--junit", type=click.Path(path_type=Path), help="Also write a JUnit file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def check(
    context: click.Context,
    names: tuple[str, ...],
    path: Path,
    folder: Path,
    only_list: bool,
    device: str,
    dtype: str,
    junit: Path | None,
    as_json: bool,
) -> None:
    """Measure again what the file of checks names, and fail where a number moved.

    A check is a [[check]] table with a name and the record that is expected. The verdict on each score is
    'matches', 'drifted' (with how many standard errors) or 'not comparable' (and why). The exit status is 0
    where all checks match, 1 where one drifted or could not be made and is not optional, 2 for wrong use. Under
    GitHub Actions annotations are printed as well.
    """
    from dar_bench.checks.reports import COLUMNS, github_lines, json_value, sentence, summary, table
    from dar_bench.checks.reports import junit as junit_document
    from dar_bench.checks.running import run_check
    from dar_bench.checks.specification import read_checks
    from dar_bench.console import console, note, print_json, print_table, progress
    from dar_bench.devices import load_options
    from dar_bench.files import write_text

    checks = read_checks(path, names)
    if only_list:
        if as_json:
            print_json([one.model_dump(by_alias=True) for one in checks])
        else:
            print_table(["check", "expects"], [[one.name, one.expect] for one in checks])
        return
    loading = load_options(device, dtype, False)
    outcomes = []
    for one in checks:
        outcomes.append(run_check(one, folder, loading, progress))
        note(sentence(outcomes[-1]))
    if junit is not None:
        write_text(junit, junit_document(outcomes))
    if as_json:
        print_json(json_value(outcomes))
    else:
        print_table(COLUMNS, table(outcomes), right=("expected", "found", "standard errors"))
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in github_lines(outcomes):
            # Never wrapped: the runner reads whole lines.
            click.echo(line, err=as_json)
    if not as_json:
        console.print(summary(outcomes))
    if not all(one.passed for one in outcomes):
        context.exit(1)
