"""``dar-bench plugins``: what is installed and whether it keeps the rules; a new project, and the guide."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dar_bench.cli.groups import SuggestingGroup
from dar_bench.cli.help import examples
from dar_bench.console import console, note, print_json, print_table, progress
from dar_bench.errors import EXIT_CHECK_FAILED
from dar_bench.plugins import PluginStatus, registry

if TYPE_CHECKING:
    from dar_bench.conformance.rules import Finding


@click.group(
    cls=SuggestingGroup,
    epilog=examples(
        "dar-bench plugins list", "dar-bench plugins new my-model", "dar-bench plugins check my-model"
    ),
)
def plugins() -> None:
    """List, check and begin plugins."""


@plugins.command("list", epilog=examples("dar-bench plugins list", "dar-bench plugins list --json"))
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--traceback", is_flag=True, help="Show where a plugin failed to import, for its author.")
def list_plugins(as_json: bool, traceback: bool) -> None:
    """List every installed plugin with what it brings, or why it did not load."""
    found = registry()
    conflicts = found.conflicts()
    if as_json:
        print_json({"plugins": [_facts(status) for status in found.plugins], "conflicts": conflicts})
        return
    rows = [_row(status) for status in found.plugins]
    print_table(("plugin", "distribution", "version", "models", "commands", "error"), rows, title="Plugins")
    for status in found.plugins:
        if traceback and status.traceback:
            console.print(f"\n{status.name} ({status.distribution}):\n{status.traceback}")
    for sentence in conflicts:
        note(f"Conflict: {sentence}")


@plugins.command(
    epilog=examples(
        "dar-bench plugins check my-model",
        "dar-bench plugins check dar-tiny --rule parameters --rule decode-batch",
        "dar-bench plugins check --json",
    )
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--rule", "rules", multiple=True, metavar="RULE", help="Ask only this rule; may be repeated.")
@click.option(
    "--large", is_flag=True, help="Also run models above 100 M parameters whose weights are on this machine."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.pass_context
def check(
    ctx: click.Context, names: tuple[str, ...], rules: tuple[str, ...], large: bool, as_json: bool
) -> None:
    """Run the conformance rules on plugins or models NAME, on all installed plugins without one.

    Says item by item what holds, what does not and what does not apply. Exits with 1 where a rule does not hold.
    """
    from dar_bench.conformance.bench import Bench
    from dar_bench.conformance.suite import check as check_item
    from dar_bench.conformance.suite import find_plugin, items

    found: list[Finding] = []
    with Bench(large=large) as bench:
        wanted = names or tuple(status.name for status in registry().plugins)
        asked = []
        for status, card in map(find_plugin, wanted):
            asked += items(status, bench, card=card, rules=rules)
        with progress("Checking", len(asked)) as bar:
            for rule, subject in asked:
                bar.describe(f"{subject}: {rule.id}")
                found.append(check_item((rule, subject)))
                bar.advance()
    if as_json:
        print_json([asdict(finding) for finding in found])
    else:
        _print_findings(found)
    if any(finding.outcome == "fails" for finding in found):
        ctx.exit(EXIT_CHECK_FAILED)


def _print_findings(found: list[Finding]) -> None:
    from dar_bench.conformance.guide import GUIDE, text

    rows: list[list[str]] = []
    for finding in found:
        row = [finding.subject, finding.outcome, finding.rule, finding.detail]
        # The rules that a model too large to be run leaves unasked share one line.
        same = (
            rows and finding.outcome == "does not apply" and rows[-1][:2] == row[:2] and rows[-1][3] == row[3]
        )
        if same:
            rows[-1][2] += f", {finding.rule}"
        else:
            rows.append(row)
    print_table(("subject", "outcome", "rule", "what was found"), rows, title="Conformance")
    failures = [finding for finding in found if finding.outcome == "fails"]
    for finding in failures:
        console.print(f"\n{finding.subject}, {finding.rule}: {finding.detail}", style="bold")
        console.print(f"{GUIDE.name} line {finding.guide_line}: {text(finding.rule).removeprefix('- ')}")
    counts = dict.fromkeys(("holds", "fails", "does not apply"), 0)
    for finding in found:
        counts[finding.outcome] += 1
    console.print(
        f"\n{counts['holds']} hold, {counts['fails']} fail, {counts['does not apply']} do not apply."
        + (" 'dar-bench plugins guide RULE' explains a rule." if failures else "")
    )


@plugins.command(
    epilog=examples(
        "dar-bench plugins new my-model", "dar-bench plugins new my-codes --kind tokenizer --folder src"
    )
)
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(["generator", "tokenizer", "autoregressive"]),
    default="generator",
    show_default=True,
    help="What the project begins with; autoregressive brings a tokenizer and a generator.",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Where the project's folder NAME is made.  [default: here]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def new(name: str, kind: str, folder: Path, as_json: bool) -> None:
    """Write an installable plugin project NAME with a small model that keeps every rule."""
    from dar_bench.scaffold.project import write_project

    project = write_project(name, kind, folder)
    if as_json:
        print_json({"folder": str(project.folder), "models": project.models, "files": project.files})
        return
    console.print(f"Wrote {project.folder} with {len(project.files)} files: {', '.join(project.models)}.")
    for line in (
        f"pip install -e {project.folder}",
        f"dar-bench models {name}",
        f"dar-bench plugins check {name}",
    ):
        console.print(f"  {line}")


@plugins.command(
    epilog=examples(
        "dar-bench plugins guide", "dar-bench plugins guide weights", "dar-bench plugins guide decode-batch"
    )
)
@click.argument("topic", default="")
@click.option(
    "--json", "as_json", is_flag=True, help="Print JSON: sections, rules and the lines they are on."
)
def guide(topic: str, as_json: bool) -> None:
    """Print the plugin guide, or the section or rule TOPIC of it."""
    from dar_bench.conformance import guide as pages

    if as_json:
        print_json(
            {"text": pages.text(topic), "sections": list(pages.sections()), "rules": pages.rule_lines()}
        )
        return
    click.echo(pages.text(topic))


def _names(status: PluginStatus) -> tuple[list[str], list[str]]:
    """Return the names of a plugin's models and commands."""
    if status.plugin is None:
        return [], []
    models = [card.name for card in status.plugin.cards]
    return models, [f"{command.group} {command.name}" for command in status.plugin.commands]


def _row(status: PluginStatus) -> list[str]:
    models, commands = _names(status)
    return [
        status.name,
        status.distribution,
        status.version,
        ", ".join(models),
        ", ".join(commands),
        status.error,
    ]


def _facts(status: PluginStatus) -> dict[str, object]:
    models, commands = _names(status)
    return {
        "name": status.name,
        "distribution": status.distribution,
        "version": status.version,
        "models": models,
        "commands": commands,
        "error": status.error,
        "traceback": status.traceback,
    }
