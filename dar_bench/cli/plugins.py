"""``dar-bench plugins``: what is installed, and what is wrong with it."""

from __future__ import annotations

import click

from dar_bench.cli.groups import SuggestingGroup
from dar_bench.cli.help import examples
from dar_bench.console import console, note, print_json, print_table
from dar_bench.plugins import PluginStatus, registry


@click.group(cls=SuggestingGroup, epilog=examples("dar-bench plugins list"))
def plugins() -> None:
    """Show the installed plugins."""


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
