"""Trying things in processes of their own: what crashes there takes nothing along."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

TIMEOUT_S = 180.0
AT_ONCE = 2


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What came of a program.

    Attributes:
        ok: it ended by itself with status 0.
        said: the last line of its standard output.
        problem: one line that says how it failed, else ``""``.
    """

    ok: bool
    said: str
    problem: str


def attempt(program: str, *arguments: str, timeout: float = TIMEOUT_S) -> Trial:
    """Run a Python program in an interpreter of its own."""
    try:
        ran = subprocess.run(
            [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=timeout
        )
    except subprocess.TimeoutExpired:
        return Trial(ok=False, said="", problem=f"no answer within {timeout:.0f} s")
    said = (ran.stdout.strip().splitlines() or [""])[-1]
    if ran.returncode == 0:
        return Trial(ok=True, said=said, problem="")
    if ran.returncode < 0:
        try:
            name = signal.Signals(-ran.returncode).name
        except ValueError:
            name = f"signal {-ran.returncode}"
        return Trial(ok=False, said=said, problem=f"the process was killed by {name}")
    return Trial(
        ok=False,
        said=said,
        problem=(ran.stderr.strip().splitlines() or [f"exit status {ran.returncode}"])[-1],
    )


def attempt_all(programs: Sequence[tuple[str, ...]]) -> list[Trial]:
    """Run several programs, each with its arguments, a few at a time; results come in their order."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda one: attempt(*one), programs))
