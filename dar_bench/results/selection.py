"""Records by what they are about: filters for tables, and one record by name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dar_bench.errors import UserError
from dar_bench.results.published import shipped_folder
from dar_bench.results.record import Record
from dar_bench.results.store import DEFAULT_FOLDER, Listing, RecordStore, StoredRecord, find_in, read_record


@dataclass(frozen=True, kw_only=True)
class Filter:
    """What records must have; ``None`` and the empty tuple let everything pass.

    Attributes:
        kind, origin: of the record.
        model: name of the model.
        options: texts ``NAME=VALUE``.
    """

    kind: str | None = None
    model: str | None = None
    origin: str | None = None
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for text in self.options:
            if "=" not in text:
                raise UserError(f"'{text}' is no option filter.", hint="Write NAME=VALUE, as cfg=2.0.")

    def passes(self, record: Record) -> bool:
        """Return whether a record has all that is asked for."""
        wanted = (text.partition("=") for text in self.options)
        return (
            self.kind in (None, record.kind)
            and self.model in (None, record.model.name)
            and self.origin in (None, record.origin)
            and all(
                name in record.options and str(record.options[name]) == value for name, _, value in wanted
            )
        )


def select(folder: Path, wanted: Filter) -> Listing:
    """Return the records of a folder that pass; for reported ones those that come with dar-bench as well.

    Raises:
        UserError: the folder does not exist (and not only reported records are asked for).
    """
    listings = []
    if folder.is_dir() or wanted.origin != "reported":
        listings.append(RecordStore(folder).read())
    if wanted.origin == "reported" and shipped_folder().is_dir():
        listings.append(RecordStore(shipped_folder()).read())
    return Listing(
        records=tuple(
            item
            for item in unique(item for listing in listings for item in listing.records)
            if wanted.passes(item.record)
        ),
        problems=tuple(dict.fromkeys(problem for listing in listings for problem in listing.problems)),
    )


def unique(records: Iterable[StoredRecord]) -> list[StoredRecord]:
    """Return every content once, in the order given."""
    found: dict[str, StoredRecord] = {}
    for item in records:
        found.setdefault(item.record.content_hash(), item)
    return list(found.values())


def find_record(name: str, folder: Path = DEFAULT_FOLDER) -> StoredRecord:
    """Return one record: a file, the beginning of a record's name or hash, or ``SOURCE, ROW`` of a published table.

    The tables that come with dar-bench are looked through as well. Where a row stands for several models, put the
    model's name first: ``dar-l, D-AR Table 4, none``.

    Raises:
        UserError: there is none, or more than one.
    """
    if Path(name).is_file():
        return StoredRecord(path=Path(name), record=read_record(name))
    shipped = RecordStore(shipped_folder())
    published = shipped.read().records if shipped.folder.is_dir() else ()
    rows = [item for item in published if name in titles(item.record)]
    if len(rows) == 1:
        return rows[0]
    if rows:
        full = "; ".join(titles(item.record)[-1] for item in rows)
        raise UserError(f"'{name}' means {len(rows)} records.", hint=f"Write one of: {full}.")
    own = RecordStore(folder).read() if folder.is_dir() else Listing(records=(), problems=())
    by_hash = [item for item in published if item.digits.startswith(name)]
    pool = Listing(records=tuple(unique([*own.records, *by_hash])), problems=own.problems)
    return find_in(pool, name, folder)


def titles(record: Record) -> list[str]:
    """Return how a published row can be named; the last is unique."""
    if record.origin != "reported":
        return []
    row = f"{record.source}, {record.row}"
    return [row, f"{record.model.name}, {row}"]
