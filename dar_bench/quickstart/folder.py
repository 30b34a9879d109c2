"""The quickstart's folder: every file is on its list as soon as it is there."""

from __future__ import annotations

from pathlib import Path

from dar_bench.files import write_json
from dar_bench.output_folders import check_folder, clear_folder

LISTING = "quickstart.json"
MADE_BY = "dar-bench quickstart"


class QuickstartFolder:
    """A folder that a later quickstart may replace, and that is never mixed with anything else.

    Args:
        path: is created; an earlier quickstart's files in it are removed.

    Raises:
        UserError: it holds something that no quickstart wrote, or cannot be written to.
    """

    def __init__(self, path: Path):
        clear_folder(path, check_folder(path, LISTING, MADE_BY, overwrite=True))
        self.path = path
        self.files: list[tuple[Path, str]] = []
        self._list(complete=False)

    def add(self, path: Path, meaning: str) -> None:
        """Put a finished file on the list.

        Args:
            path: inside the folder. meaning: what it shows, for the person who reads the list.
        """
        self.files.append((path, meaning))
        self._list(complete=False)

    def finish(self) -> None:
        """Mark the quickstart as complete."""
        self._list(complete=True)

    def _list(self, *, complete: bool) -> None:
        files = [str(path.relative_to(self.path)) for path, _ in self.files]
        write_json(self.path / LISTING, {"made_by": MADE_BY, "complete": complete, "files": files})
