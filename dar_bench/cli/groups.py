"""Command groups that suggest the nearest name, and that import a command only when it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from dar_bench.errors import unknown_name


class SuggestingGroup(click.Group):
    """A group whose unknown commands are a `UserError` that suggests the nearest one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first argument names."""
        name = args[0]
        known = self.list_commands(ctx)
        if not name.startswith("-") and name not in known:
            raise unknown_name("command", name, known, hint=f"See '{ctx.command_path} --help'.")
        return super().resolve_command(ctx, args)


class LazyGroup(SuggestingGroup):
    """A group whose commands are named by ``"module:attribute"`` and carry their one-line help with them.

    Args:
        lazy: command name to (``"module:attribute"``, one line of help), in the order of the help page.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str]] | None = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._lazy = dict(lazy or {})

    def targets(self) -> Mapping[str, tuple[str, str]]:
        """Return command name to (target, help)."""
        return self._lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order they were given."""
        return list(self.targets())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command; ``None`` where there is none of that name."""
        entry = self.targets().get(cmd_name)
        if entry is None:
            return None
        from dar_bench.plugins import load_object

        command = load_object(entry[0])
        if not isinstance(command, click.Command):
            raise TypeError(f"'{entry[0]}' is of type {type(command).__name__}, not a click.Command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their stored help, importing none of them."""
        rows = [(name, text) for name, (_, text) in self.targets().items()]
        with formatter.section("Commands"):
            if rows:
                formatter.write_dl(rows)
            else:
                formatter.write_text("None: no installed plugin offers one.")


class PluginGroup(LazyGroup):
    """A group that plugins fill: its commands are those mounted under its own name."""

    def targets(self) -> Mapping[str, tuple[str, str]]:
        """Return the commands of the installed plugins."""
        from dar_bench.plugins import registry

        return {
            command.name: (command.target, command.help) for command in registry().commands(self.name or "")
        }
