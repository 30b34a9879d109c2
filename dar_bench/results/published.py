"""Published tables as records: one file for each table, its rows as compact as they are printed.

    {"table": "D-AR Table 2", "common": {...}, "rows": [{...}, ...]}

``common`` holds what the rows share; a row adds to it or overrides it, fields of ``model``, ``options`` and
``evaluator`` one by one. ``scores`` may be written as ``{"FID": 2.44}``; number of samples and protocol then come from
``common.score``. Every row becomes a whole record and is validated like any other. The file's name ends with the
beginning of the hash of its content, like that of every record.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dar_bench
from dar_bench.hashing import sha256_json

_MERGED = ("model", "options", "evaluator")


def shipped_folder() -> Path:
    """Return the folder of the published tables that come with dar-bench: installed, or in the checkout."""
    package = Path(dar_bench.__file__).parent
    installed = package / "reported"
    return installed if installed.is_dir() else package.parent / "results" / "reported"


def is_table(data: object) -> bool:
    """Return whether a JSON document is a published table rather than one record."""
    return isinstance(data, dict) and "rows" in data and "table" in data


def table_digest(data: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a table's content."""
    return sha256_json(dict(data))


def table_rows(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the fields of every row's record, not yet validated.

    Raises:
        ValueError: the document does not have the form of a table.
    """
    extra = sorted(set(data) - {"table", "caption", "common", "rows"})
    if extra:
        raise ValueError(f"it has the unknown field '{extra[0]}'")
    common, rows = data.get("common", {}), data["rows"]
    if not isinstance(common, dict) or not isinstance(rows, list):
        raise ValueError("'common' must be an object and 'rows' a list")
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("every row must be an object")
    return [_merge(str(data["table"]), common, row) for row in rows]


def _merge(table: str, common: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {"origin": "reported", "source": table}
    fields |= {key: value for key, value in common.items() if key != "score"}
    for key, value in row.items():
        shared = common.get(key)
        both = key in _MERGED and isinstance(value, dict) and isinstance(shared, dict)
        fields[key] = {**shared, **value} if both and isinstance(shared, dict) else value
    scores = fields.get("scores")
    if isinstance(scores, dict):
        facts = common.get("score", {})
        fields["scores"] = [{"name": name, "value": value, **facts} for name, value in scores.items()]
    return fields
