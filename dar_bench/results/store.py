"""Records as files: one JSON document each, named by its content, in any folder.

Equal measurements get equal names and different ones different names, so that folders of records merge (in
git or by copying) without conflict. A record that cannot be read is reported beside those that can.
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
from dar_bench.results.record import Record

DEFAULT_FOLDER = Path("results")
"""Where commands write and read records unless told otherwise, in the working folder."""

_DIGITS = 12
_NAME = re.compile(rf"-(?P<digits>[0-9a-f]{{{_DIGITS}}})\.json$")


@dataclass(frozen=True, kw_only=True)
class StoredRecord:
    """A record and its file."""

    path: Path
    record: Record


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
        if path.is_file() and not isinstance(_read(path), Problem):
            return path
        write_text(path, canonical_text(record))
        return path

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
            _read(path)
            for path in sorted(self.folder.rglob("*.json"))
            if _NAME.search(path.name)
            and not any(part.startswith(".") for part in path.relative_to(self.folder).parts)
        ]
        records = [item for item in found if isinstance(item, StoredRecord)]
        return Listing(
            records=tuple(sorted(records, key=lambda item: (item.record.created, item.path.name))),
            problems=tuple(item for item in found if isinstance(item, Problem)),
        )

    def find(self, name: str) -> StoredRecord:
        """Return the record of this file name, or of this beginning of a file name or of a content hash.

        Raises:
            UserError: no record, or more than one.
        """
        listing = self.read()
        matches = [item for item in listing.records if _matches(item.path, name)]
        if len(matches) == 1:
            return matches[0]
        if matches:
            names = ", ".join(item.path.name for item in matches[:4])
            raise UserError(f"'{name}' means {len(matches)} records.", why=f"Among them: {names}.")
        for problem in listing.problems:
            if _matches(problem.path, name):
                raise UserError(f"The record '{problem.path.name}' cannot be read.", why=problem.reason)
        raise UserError(
            f"No record '{name}' in '{self.folder}'.", hint="See what is there: dar-bench results list"
        )


def read_record(path: str | Path) -> Record:
    """Read one record file.

    Raises:
        UserError: it is missing, damaged, changed since it was written, or of a newer schema.
    """
    found = _read(Path(path))
    if isinstance(found, Problem):
        raise UserError(f"The record '{path}' cannot be read.", why=found.reason)
    return found.record


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
    model = re.sub(r"[^A-Za-z0-9.]+", "-", record.model.name).strip("-.") or "model"
    return f"{record.kind}-{model}-{record.content_hash()[:_DIGITS]}.json"


def rows(records: Iterable[StoredRecord]) -> list[dict[str, Any]]:
    """Return one flat row for every score of every record, for tables and data frames."""
    table = []
    for item in records:
        record = item.record
        common = {
            "record": item.path.stem,
            "created": record.created.isoformat(),
            "kind": record.kind,
            "origin": record.origin,
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


def _matches(path: Path, name: str) -> bool:
    digits = _NAME.search(path.name)
    return path.name.startswith(name) or (digits is not None and digits["digits"].startswith(name))


def _read(path: Path) -> StoredRecord | Problem:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        record = Record.model_validate(data)
    except OSError as error:
        return Problem(path=path, reason=f"It cannot be opened: {error.strerror}.")
    except UnicodeDecodeError:
        return Problem(path=path, reason="It is not a text in UTF-8.")
    except json.JSONDecodeError as error:
        return Problem(path=path, reason=f"It is not JSON: {error.msg} at line {error.lineno}.")
    except ValidationError as error:
        return Problem(path=path, reason=_first_error(error))
    digits = _NAME.search(path.name)
    if digits is not None and not record.content_hash().startswith(digits["digits"]):
        return Problem(path=path, reason="Its content does not have the hash in its name: it was changed.")
    return StoredRecord(path=path, record=record)


def _first_error(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{f'{place}: ' if place else ''}{message}{more}."
