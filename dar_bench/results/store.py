"""Records as files: one JSON document each, named by its content, in any folder.

Equal measurements get equal names and different ones different names, so that folders of records merge (in
git or by copying) without conflict. A record that cannot be read is reported beside those that can. The rows of
a published table share one file (``dar_bench.results.published``).
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dar_bench.errors import UserError
from dar_bench.files import write_text
from dar_bench.results.published import is_table, table_digest, table_rows
from dar_bench.results.record import Record

DEFAULT_FOLDER = Path("results")
"""Where commands write and read records unless told otherwise, in the working folder."""

_DIGITS = 12
_CHANGED = "Its content does not have the hash in its name: it was changed."
_NAME = re.compile(rf"-(?P<digits>[0-9a-f]{{{_DIGITS}}})\.json$")


@dataclass(frozen=True, kw_only=True)
class StoredRecord:
    """A record and its file, which it shares with others where it is a row of a published table."""

    path: Path
    record: Record

    @property
    def name(self) -> str:
        """The record's own name: kind, model and the beginning of its content hash."""
        return file_name(self.record).removesuffix(".json")

    @property
    def digits(self) -> str:
        """The beginning of its content hash, by which commands find it."""
        return self.record.content_hash()[:_DIGITS]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A file that should be a record and cannot be read as one."""

    path: Path
    reason: str


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What a folder holds: readable records, oldest first, and the files that are not."""

    records: tuple[StoredRecord, ...]
    problems: tuple[Problem, ...]


class RecordStore:
    """A folder of records, and of folders of records.

    Args:
        folder: need not exist yet.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)

    def write(self, record: Record) -> Path:
        """Write a record under its content name, completely or not at all, and return the path.

        A measurement that is there already stays as it is, with its date.
        """
        path = self.folder / file_name(record)
        if path.is_file() and not isinstance(_read(path)[0], Problem):
            return path
        write_text(path, canonical_text(record))
        return path

    def write_new(self, record: Record) -> Path:
        """Write a record unless its measurement is there already, and return the path of the one that is there.

        For work that was kept and is only read again: that is no repetition that would deserve a record. One that
        knows more of the cost than those that are there is written.
        """
        for path in sorted(self.folder.rglob(_pattern(record))):
            (found, *more) = _read(path)
            if (
                isinstance(found, StoredRecord)
                and not more
                and found.record.measurement_hash() == record.measurement_hash()
                and not _known(record) - _known(found.record)
            ):
                return path
        return self.write(record)

    def read(self) -> Listing:
        """Read every record below the folder; what cannot be read becomes a problem, not an error.

        Files that are not named like a record (``...-<12 digits of the hash>.json``) and hidden ones are left
        alone.

        Raises:
            UserError: the folder does not exist.
        """
        if not self.folder.is_dir():
            raise UserError(
                f"There is no folder of records '{self.folder}'.",
                hint="Measure something first, or name the folder with --folder.",
            )
        found = [
            item
            for path in sorted(self.folder.rglob("*.json"))
            if _NAME.search(path.name)
            and not any(part.startswith(".") for part in path.relative_to(self.folder).parts)
            for item in _read(path)
        ]
        records = [item for item in found if isinstance(item, StoredRecord)]
        return Listing(
            # The rows of a table have one date and one file: they stay in the table's order.
            records=tuple(sorted(records, key=lambda item: (item.record.created, item.path.name))),
            problems=tuple(item for item in found if isinstance(item, Problem)),
        )

    def find(self, name: str) -> StoredRecord:
        """Return the record of this name, or of this beginning of a name or of a content hash.

        Raises:
            UserError: no record, or more than one.
        """
        return find_in(self.read(), name, self.folder)


def find_in(listing: Listing, name: str, folder: Path) -> StoredRecord:
    """Return the record of a listing with this name, or this beginning of a name or of a content hash.

    Raises:
        UserError: no record, or more than one.
    """
    matches = [item for item in listing.records if _matches(item, name)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        names = ", ".join(item.name for item in matches[:4])
        raise UserError(f"'{name}' means {len(matches)} records.", why=f"Among them: {names}.")
    for problem in listing.problems:
        if problem.path.name.startswith(name):
            raise UserError(f"The record '{problem.path.name}' cannot be read.", why=problem.reason)
    raise UserError(f"No record '{name}' in '{folder}'.", hint="See what is there: dar-bench results list")


def read_record(path: str | Path) -> Record:
    """Read one record file.

    Raises:
        UserError: it is missing, damaged, changed since it was written, or of a newer schema.
    """
    found = _read(Path(path))
    if isinstance(found[0], Problem):
        raise UserError(f"The record '{path}' cannot be read.", why=found[0].reason)
    if len(found) > 1:
        raise UserError(
            f"'{path}' is a table of {len(found)} records.",
            hint="Name one of them by its digits; 'dar-bench results list --origin reported' shows them.",
        )
    return found[0].record


def canonical_text(record: Record) -> str:
    """Return the record as JSON with sorted keys, so that equal records are equal files."""
    return (
        json.dumps(
            record.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False
        )
        + "\n"
    )


def file_name(record: Record) -> str:
    """Return ``kind-model-digits.json``; the digits are the beginning of the content hash."""
    return f"{_stem(record)}-{record.content_hash()[:_DIGITS]}.json"


def rows(records: Iterable[StoredRecord]) -> list[dict[str, Any]]:
    """Return one flat row for every score of every record, for tables and data frames."""
    table = []
    for item in records:
        record = item.record
        common = {
            "record": item.name,
            "created": record.created.isoformat(),
            "kind": record.kind,
            "origin": record.origin,
            "source": ", ".join(part for part in (record.source, record.row) if part),
            "model": record.model.name,
            "samples": record.samples,
            "reference": record.evaluator.reference if record.evaluator else "",
        }
        options = {f"option.{name}": value for name, value in sorted(record.options.items())}
        for score in record.scores:
            low, high = score.bounds() or (None, None)
            table.append(
                {
                    **common,
                    "score": score.name,
                    "value": score.value,
                    "stderr": score.stderr,
                    "low": low,
                    "high": high,
                    "n": score.n,
                    "protocol": score.protocol,
                    **options,
                }
            )
    return table


def to_frame(records: Sequence[StoredRecord]) -> Any:
    """Return ``rows`` as a ``pandas.DataFrame``: one row per score.

    Raises:
        UserError: pandas is not installed.
    """
    try:
        pandas = importlib.import_module("pandas")
    except ImportError as error:
        raise UserError("Data frames need pandas.", hint="Install it: pip install pandas") from error
    return pandas.DataFrame(rows(records))


def _stem(record: Record) -> str:
    model = re.sub(r"[^A-Za-z0-9.]+", "-", record.model.name).strip("-.") or "model"
    return f"{record.kind}-{model}"


def _pattern(record: Record) -> str:
    """Return the pattern of the names of all records of the same kind and model, and perhaps of some others."""
    return f"{_stem(record)}-{'[0-9a-f]' * _DIGITS}.json"


def _known(record: Record) -> set[str]:
    """Return the costs that a record states."""
    return {name for name, value in record.cost if value not in (None, {}, "") and name != "attribution"}


def _matches(item: StoredRecord, name: str) -> bool:
    wanted = name.removesuffix(".json")
    return item.name.startswith(wanted) or item.digits.startswith(wanted)


def _read(path: Path) -> list[StoredRecord | Problem]:
    """Return what a file holds; never empty, and only a table holds more than one."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        return [Problem(path=path, reason=f"It cannot be opened: {error.strerror}.")]
    except UnicodeDecodeError:
        return [Problem(path=path, reason="It is not a text in UTF-8.")]
    except json.JSONDecodeError as error:
        return [Problem(path=path, reason=f"It is not JSON: {error.msg} at line {error.lineno}.")]
    return _read_table(path, data) if is_table(data) else [_read_one(path, data)]


def _read_one(path: Path, data: Any) -> StoredRecord | Problem:
    try:
        record = Record.model_validate(data)
    except ValidationError as error:
        return Problem(path=path, reason=_first_error(error))
    digits = _NAME.search(path.name)
    if digits is not None and not record.content_hash().startswith(digits["digits"]):
        return Problem(path=path, reason=_CHANGED)
    return StoredRecord(path=path, record=record)


def _read_table(path: Path, data: dict[str, Any]) -> list[StoredRecord | Problem]:
    digits = _NAME.search(path.name)
    if digits is not None and not table_digest(data).startswith(digits["digits"]):
        return [Problem(path=path, reason=_CHANGED)]
    try:
        expanded = table_rows(data)
    except ValueError as error:
        return [Problem(path=path, reason=f"It is no table: {error}.")]
    found: list[StoredRecord | Problem] = []
    for number, fields in enumerate(expanded, 1):
        try:
            found.append(StoredRecord(path=path, record=Record.model_validate(fields)))
        except ValidationError as error:
            found.append(Problem(path=path, reason=f"Row {number}: {_first_error(error)}"))
    return found or [Problem(path=path, reason="It is a table without rows.")]


def _first_error(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{f'{place}: ' if place else ''}{message}{more}."
