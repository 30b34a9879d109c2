"""Errors that a user can cause, said in one message: what happened, why, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

EXIT_CHECK_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


class UserError(Exception):
    """A mistake or a missing thing that the user can mend; shown without a traceback.

    Args:
        what: one sentence that says what is wrong, with the name, path or count in it.
        why: the reason, where the sentence does not hold it already.
        hint: what to do next, as an instruction or a command.
        exit_code: the process's exit status; 2 for wrong use, 1 for a failed check.
    """

    def __init__(self, what: str, *, why: str = "", hint: str = "", exit_code: int = EXIT_USAGE):
        self.what = what
        self.why = why
        self.hint = hint
        self.exit_code = exit_code
        super().__init__(" ".join(part for part in (what, why, hint) if part))


def suggest(name: str, known: Iterable[str]) -> str:
    """Return ``"did you mean 'x'?"`` for the known name nearest to ``name``, or ``""``."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"Did you mean '{near[0]}'?" if near else ""


def unknown_name(kind: str, name: str, known: Iterable[str], *, hint: str = "") -> UserError:
    """Build the error for a name that is not among ``known``, with the nearest one suggested."""
    names = sorted(known)
    listed = ", ".join(names) if names else "none"
    return UserError(
        f"Unknown {kind} '{name}'.",
        why=suggest(name, names) or f"Known: {listed}.",
        hint=hint,
    )
