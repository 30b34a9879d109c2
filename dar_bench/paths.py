"""Where dar-bench keeps what outlives a command."""

from __future__ import annotations

import os
from pathlib import Path

from dar_bench.errors import UserError

HOME_VARIABLE = "DAR_BENCH_HOME"
CACHE_VARIABLE = "XDG_CACHE_HOME"  # https://specifications.freedesktop.org/basedir-spec


def home() -> Path:
    """Return the folder of the store: ``$DAR_BENCH_HOME``, else ``dar-bench`` in the user's cache folder.

    That is ``$XDG_CACHE_HOME`` where it is an absolute path, as its specification asks, else ``~/.cache``.

    The folder need not exist yet; whoever writes into it creates it.

    Raises:
        UserError: ``$DAR_BENCH_HOME`` names something that is not a folder.
    """
    configured = os.environ.get(HOME_VARIABLE)
    if not configured:
        caches = Path(os.environ.get(CACHE_VARIABLE, ""))
        return (caches if caches.is_absolute() else Path.home() / ".cache") / "dar-bench"
    folder = Path(configured).expanduser().absolute()
    if folder.exists() and not folder.is_dir():
        raise UserError(
            f"The store '{folder}' is not a folder.",
            why=f"It is set by the environment variable {HOME_VARIABLE}.",
            hint=f"Unset {HOME_VARIABLE} or set it to a folder.",
        )
    return folder
