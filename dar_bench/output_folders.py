"""Folders that a command writes into: never mixed with other files, replaced only by the same command.

Every such folder holds a list (a JSON file) with the name of the command and of every file it wrote.
"""

from __future__ import annotations

import json
from pathlib import Path

from dar_bench.errors import UserError


def check_folder(folder: Path, listing: str, made_by: str, *, overwrite: bool) -> list[str]:
    """Make sure that a folder may take a run's files, without touching it.

    Args:
        folder: need not exist.
        listing: name of the list in it.
        made_by: the command, as the list says it.
        overwrite: whether the files of an earlier run may be replaced.

    Returns:
        The earlier run's files, for ``clear_folder`` once nothing else can go wrong.

    Raises:
        UserError: it is a file, or holds something that may not be replaced.
    """
    if not folder.exists():
        return []
    if not folder.is_dir():
        raise UserError(f"'{folder}' is a file.", hint="Name a folder with --out.")
    if not any(folder.iterdir()):
        return []
    earlier = _listed_files(folder / listing, made_by)
    if earlier is None:
        raise UserError(
            f"The folder '{folder}' is not empty.",
            why=f"It holds no '{listing}' of an earlier '{made_by}'.",
            hint="Choose another folder with --out.",
        )
    if not overwrite:
        raise UserError(
            f"The folder '{folder}' holds what an earlier run wrote.",
            hint="Choose another folder with --out, or replace it with --overwrite.",
        )
    return [*earlier, listing]


def clear_folder(folder: Path, names: list[str]) -> None:
    """Remove the files of an earlier run, and nothing else; names that lead outside are left alone."""
    for name in names:
        _remove(folder, name)


def _listed_files(path: Path, made_by: str) -> list[str] | None:
    """Return the files that a list names, or ``None`` where there is no list of this command."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or found.get("made_by") != made_by:
        return None
    files = found.get("files")
    return [name for name in files if isinstance(name, str)] if isinstance(files, list) else None


def _remove(folder: Path, name: str) -> None:
    """Remove one file of the folder, and its own folder if that leaves it empty; never anything outside."""
    path = folder / name
    if ".." in path.parts or not path.resolve().is_relative_to(folder.resolve()) or path.is_dir():
        return
    path.unlink(missing_ok=True)
    parent = path.parent
    if parent != folder and parent.is_dir() and not any(parent.iterdir()):
        parent.rmdir()
