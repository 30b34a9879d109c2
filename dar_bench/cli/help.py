"""Pieces of help pages."""

from __future__ import annotations


def examples(*lines: str) -> str:
    """Return a ``click`` epilog that shows commands to copy, one per line.

    Every command passes one: ``@click.command(epilog=examples("dar-bench models dar-l"))``.
    """
    heading = "Example:" if len(lines) == 1 else "Examples:"
    return "\b\n" + "\n".join([heading, *(f"  {line}" for line in lines)])
