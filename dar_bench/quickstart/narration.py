"""What the quickstart says while it walks: numbered steps on a terminal, or on standard error beside JSON."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from rich.text import Text

from dar_bench.console import console, messages, print_table

STEPS = 7


class Narration:
    """Speaks to the person.

    Args:
        aside: standard output is for JSON; words go to standard error, tables are left out.
    """

    def __init__(self, *, aside: bool = False):
        self._aside = aside
        self._console = messages if aside else console
        self._step = 0
        self.step_name = ""

    @contextmanager
    def step(self, name: str, explanation: str) -> Iterator[None]:
        """Announce a step and, when it ends, say how long it took."""
        self._step += 1
        self.step_name = f"step {self._step}, {name.lower()}"
        started = time.perf_counter()
        self._console.print()
        self._console.print(Text(f"Step {self._step} of {STEPS}: {name}", style="bold"))
        self._console.print(explanation)
        yield
        self._console.print(Text(f"Done in {time.perf_counter() - started:.0f} s.", style="dim"))

    def say(self, text: str) -> None:
        """Print one line."""
        self._console.print(text)

    def table(
        self, columns: Sequence[str], rows: Sequence[Sequence[object]], *, right: Collection[str] = ()
    ) -> None:
        """Print a table, unless standard output is for JSON."""
        if not self._aside:
            print_table(columns, rows, right=right)
