"""Folders that a command writes into: never mixed with other files, replaced only by the same command.

Every such folder holds a list (a JSON file) with the name of the command and of every file it wrote. While the command
runs, the list says what its files will be called instead, so that a run that was killed can be replaced too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from dar_bench.errors import UserError
from dar_bench.files import write_json


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


def claim_folder(folder: Path, listing: str, made_by: str, patterns: Sequence[str]) -> None:
    """Say in the list, before the first file, what the files of this run will be called.

    Args:
        folder: one that ``check_folder`` let pass.
        listing, made_by: as given to it.
        patterns: of the names, relative to the folder (``[0-9]*.png``); after a kill, what matches them is the
            run's. The finished list takes their place.
    """
    write_json(
        folder / listing, {"made_by": made_by, "complete": False, "files": [], "patterns": list(patterns)}
    )


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
    files, patterns = found.get("files"), found.get("patterns", [])
    if not isinstance(files, list) or not isinstance(patterns, list):
        return None
    names = [name for name in files if isinstance(name, str)]
    return [*names, *_matching(path.parent, [text for text in patterns if isinstance(text, str)])]


def _matching(folder: Path, patterns: Sequence[str]) -> list[str]:
    inside = [
        text for text in patterns if text and not Path(text).is_absolute() and ".." not in Path(text).parts
    ]
    return [str(path.relative_to(folder)) for text in inside for path in sorted(folder.glob(text))]


def _remove(folder: Path, name: str) -> None:
    """Remove one file of the folder, and its own folder if that leaves it empty; never anything outside."""
    path = folder / name
    if ".." in path.parts or not path.resolve().is_relative_to(folder.resolve()) or path.is_dir():
        return
    path.unlink(missing_ok=True)
    parent = path.parent
    if parent != folder and parent.is_dir() and not any(parent.iterdir()):
        parent.rmdir()
