"""What commands print: rich tables and bars for a person at a terminal, plain lines for a pipe.

Results go to standard output, progress and messages to standard error. Markup and emoji codes are off: square
brackets (``FD[efficientnet-lite0]``) and colons (``emoji64:train:``) are parts of names and must survive.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.table import Table
from rich.text import Text

console = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
"""Standard output."""

messages = Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)
"""Standard error: progress, notes and warnings."""

# How often a piped run says how far it is.
_PLAIN_INTERVAL_S = 10.0


class Progress(Protocol):
    """A running progress display."""

    def advance(self, n: float = 1) -> None:
        """Count ``n`` more units as done."""
        ...

    def describe(self, text: str) -> None:
        """Show ``text`` as what is being done now."""
        ...


class _Bar:
    def __init__(self, bar: RichProgress, description: str, total: float | None):
        self._bar = bar
        self._task = bar.add_task(description, total=total)

    def advance(self, n: float = 1) -> None:
        self._bar.advance(self._task, n)

    def describe(self, text: str) -> None:
        self._bar.update(self._task, description=text)


class _Lines:
    def __init__(self, description: str, total: float | None):
        self._description = description
        self._total = total
        self._done = 0.0
        self._started = self._printed = time.monotonic()
        self._last = ""

    def advance(self, n: float = 1) -> None:
        self._done += n
        if time.monotonic() - self._printed >= _PLAIN_INTERVAL_S:
            self.show()

    def describe(self, text: str) -> None:
        self._description = text

    def show(self) -> None:
        self._printed = time.monotonic()
        total = "" if self._total is None else f"/{self._total:g}"
        seconds = self._printed - self._started
        state = f"{self._description}: {self._done:g}{total}"
        if state != self._last:  # else the end of the work fell on the end of an interval
            messages.print(f"{state} ({seconds:.0f} s)")
        self._last = state


@contextmanager
def progress(description: str, total: float | None) -> Iterator[Progress]:
    """Show progress on standard error while the block runs.

    Args:
        description: what is being done, a few words.
        total: how many units there are; ``None`` where nobody knows.

    Yields:
        An object whose ``advance(n)`` counts units and whose ``describe(text)`` changes the words.
    """
    if messages.is_terminal:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with RichProgress(*columns, console=messages) as bar:
            yield _Bar(bar, description, total)
        return
    lines = _Lines(description, total)
    yield lines
    lines.show()


@contextmanager
def download_progress(description: str, total: int | None, done: int) -> Iterator[Progress]:
    """Show a download in bytes on standard error, of which ``done`` were there before."""
    from rich.progress import DownloadColumn, TransferSpeedColumn

    if not messages.is_terminal:
        with progress(f"{description} (bytes)", total) as lines:
            lines.advance(done)
            yield lines
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with RichProgress(*columns, console=messages) as bar:
        shown = _Bar(bar, description, total)
        shown.advance(done)
        yield shown


def note(text: str) -> None:
    """Print one line for the person at the terminal (standard error)."""
    messages.print(text)


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    title: str = "",
    right: Collection[str] = (),
    optional: Sequence[str] = (),
) -> None:
    """Print a table to standard output: ruled on a terminal, aligned plain lines in a pipe.

    Args:
        columns: the headings.
        rows: one sequence of cells per row, shown with ``str``; ``None`` is an empty cell.
        title: printed above the table.
        right: headings of the columns that are aligned to the right (numbers).
        optional: headings of columns that a terminal too narrow for them may do without, the least important
            first; a pipe gets them all.
    """
    texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
    widths = {name: max(len(line[i]) for line in [columns, *texts]) for i, name in enumerate(columns)}
    if title:
        console.print(title, style="bold")
    if not console.is_terminal:
        for line in [columns, *texts]:
            cells = [
                cell.rjust(widths[name]) if name in right else cell.ljust(widths[name])
                for name, cell in zip(columns, line, strict=True)
            ]
            console.print("  ".join(cells).rstrip())
        return
    hidden = _too_many(widths, optional, console.width)
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in columns:
        if name not in hidden:
            table.add_column(Text(name), justify="right" if name in right else "left", overflow="fold")
    for row in texts:
        cells = [cell for name, cell in zip(columns, row, strict=True) if name not in hidden]
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table, soft_wrap=False)
    if hidden:
        console.print(f"Not shown at this width: {', '.join(hidden)}.", style="dim")


def _too_many(widths: Mapping[str, int], optional: Sequence[str], available: int) -> list[str]:
    """Return the first of the ``optional`` columns that must go for the others to fit, one space a side."""
    hidden: list[str] = []
    for name in optional:
        shown = [width for column, width in widths.items() if column not in hidden]
        if sum(shown) + 3 * (len(shown) - 1) <= available:
            break
        hidden.append(name)
    return hidden


def print_json(value: Any) -> None:
    """Print ``value`` to standard output as indented JSON, and nothing else."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))
