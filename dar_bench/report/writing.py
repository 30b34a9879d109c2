"""From folders of records to the file of a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dar_bench.errors import UserError
from dar_bench.files import write_text
from dar_bench.report.entries import entries
from dar_bench.report.images import Picture, stored_pictures
from dar_bench.report.page import render
from dar_bench.results.published import shipped_folder
from dar_bench.results.store import RecordStore, StoredRecord


@dataclass(frozen=True, kw_only=True)
class WrittenReport:
    """What a report holds.

    Attributes:
        path: its file.
        records: records shown.
        pictures: pictures shown.
        problems: one sentence on everything that was left out.
    """

    path: str
    records: int
    pictures: int
    problems: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """Return the same as JSON values."""
        return {**asdict(self), "problems": list(self.problems)}


def write_report(
    folders: Sequence[Path],
    output: Path,
    *,
    title: str,
    pictures: Sequence[Picture] = (),
    published: bool = True,
) -> WrittenReport:
    """Write the report on all records below the folders, completely or not at all.

    Args:
        folders: of records; what cannot be read is named in the page and in the result.
        output: the HTML file.
        title: its heading.
        pictures: shown before those found below the folders.
        published: whether the published tables that come with dar-bench stand beside the records.

    Raises:
        UserError: a folder does not exist, or there is nothing to show.
    """
    stored: list[StoredRecord] = []
    shown = list(pictures)
    problems: list[str] = []
    for folder in folders:
        listing = RecordStore(folder).read()
        stored += listing.records
        problems += [f"Skipped '{problem.path.name}': {problem.reason}" for problem in listing.problems]
        found, left_out = stored_pictures(folder)
        shown += found
        problems += left_out
    if not stored and not shown:
        raise UserError(
            f"There is nothing to report in {', '.join(str(folder) for folder in folders)}.",
            why="No record could be read there." if problems else "No record is there.",
            hint="Measure something first: dar-bench eval gfid --model dar-tiny",
        )
    if published and shipped_folder().is_dir():
        stored += RecordStore(shipped_folder()).read().records
    found_entries = entries(stored)
    page = render(found_entries, title=title, pictures=shown, problems=problems, made=datetime.now(UTC))
    write_text(output, page)
    return WrittenReport(
        path=str(output), records=len(found_entries), pictures=len(shown), problems=tuple(problems)
    )
