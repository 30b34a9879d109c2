"""Options that the training commands of all plugins share, and what they change in a recipe."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from dar_bench.download import OFFLINE_VARIABLE, without_network

Command = TypeVar("Command", bound=Callable[..., Any])


def run_options(recipe: str) -> Callable[[Command], Command]:
    """Return a decorator that adds ``--recipe --out --set --resume --offline --json``.

    The last two are no arguments of the command: the network is forbidden until the command ends, and a summary of
    the run is printed after it.

    Args:
        recipe: the default of ``--recipe``.
    """
    options = _together(
        click.option("--recipe", default=recipe, show_default=True, help="Shipped recipe, or a .toml file."),
        click.option(
            "--out",
            type=click.Path(path_type=Path, file_okay=False),
            required=True,
            help="Folder of the run.",
        ),
        click.option(
            "--set",
            "overrides",
            multiple=True,
            metavar="KEY=VALUE",
            help="Change a recipe value; repeatable.",
        ),
        click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in --out."),
        click.option(
            "--offline",
            is_flag=True,
            expose_value=False,
            callback=_forbid_network,
            help=f"Use no network, also for the networks of a loss (also: {OFFLINE_VARIABLE}=1).",
        ),
        click.option("--json", "as_json", is_flag=True, help="Print a summary of the finished run as JSON."),
    )
    return lambda command: options(_with_summary(command))


def _with_summary(command: Command) -> Command:
    """Let a training command say where the model is, or print what came of it where ``--json`` asks for that."""

    @functools.wraps(command)
    def summarized(*arguments: Any, out: Path, as_json: bool, **options: Any) -> None:
        command(*arguments, out=out, **options)
        from dar_bench.console import note, print_json
        from dar_bench.training.distributed import is_main
        from dar_bench.training.summary import run_summary

        if not is_main():
            return
        if as_json:
            print_json(run_summary(out))
        else:
            note(f"The model is in {out / 'export'}; every command takes this folder in place of a name.")

    return cast(Command, summarized)


def _forbid_network(ctx: click.Context, parameter: click.Parameter, offline: bool) -> None:
    ctx.with_resource(without_network(offline))


def image_options() -> Callable[[Command], Command]:
    """Return a decorator that adds ``--data`` and ``--val``."""
    return _together(
        click.option("--data", default=None, help="Training images; replaces the recipe's data.train."),
        click.option("--val", default=None, help="Held-out images; replaces the recipe's data.val."),
    )


def code_options() -> Callable[[Command], Command]:
    """Return a decorator that adds ``--data``, ``--codes`` and ``--tokenizer`` (as ``tokenizer_name``)."""
    return _together(
        click.option(
            "--data", default=None, help="Training images, tokenized once; replaces the recipe's data.train."
        ),
        click.option(
            "--codes",
            default=None,
            help="Codes cached by 'dar-bench tokenize'; replaces the recipe's data.codes.",
        ),
        click.option(
            "--tokenizer",
            "tokenizer_name",
            default=None,
            help="A tokenizer's name, or its training's export folder.",
        ),
    )


def recipe_changes(overrides: Sequence[str], **data: str | None) -> list[str]:
    """Return ``section.key=value`` texts: first the given options of the section ``data``, then ``--set``'s."""
    given = [f"data.{key}={value}" for key, value in data.items() if value is not None]
    return [*given, *overrides]


def _together(*options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate
