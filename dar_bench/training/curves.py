"""Training curves: reading ``metrics.jsonl`` and thinning it to what a record can carry."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dar_bench.errors import UserError

_NOT_CURVES = ("kind", "step", "time", "memory_gib", "epoch")


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the entries of a ``metrics.jsonl``; an unfinished last line of a running training is left out.

    Raises:
        UserError: the file cannot be read, or a line before the last is not JSON.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(f"Cannot read the training log {path}.", why=error.strerror or str(error)) from error
    entries: list[dict[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        try:
            entries.append(json.loads(line))
        except json.JSONDecodeError as error:
            if number < len(lines):
                raise UserError(f"Line {number} of {path} is not JSON.", why=str(error)) from error
    return entries


def summarize(entries: Sequence[dict[str, Any]], *, points: int = 40) -> dict[str, Any]:
    """Thin a log to at most ``points`` values per curve.

    Returns:
        ``{"train": {"step": [...], "loss": [...], ...}, "eval": {...}}``. Training entries are averaged over
        equal runs of entries and named by the last step of each; evaluations are not averaged but picked
        evenly, the last one always. ``None`` stands where a value was not finite or not there.
    """
    train = [entry for entry in entries if entry["kind"] == "train"]
    scores = [entry for entry in entries if entry["kind"] == "eval"]
    picked = [part[-1:] for part in _parts(scores, points)]
    return {"train": _columns(_parts(train, points)), "eval": _columns(picked)}


def _parts(entries: Sequence[dict[str, Any]], points: int) -> list[Sequence[dict[str, Any]]]:
    count = min(points, len(entries))
    ends = [len(entries) * (part + 1) // count for part in range(count)]
    return [entries[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _columns(parts: Sequence[Sequence[dict[str, Any]]]) -> dict[str, list[float | None]]:
    names = sorted({name for part in parts for entry in part for name in entry} - set(_NOT_CURVES))
    columns: dict[str, list[float | None]] = {"step": [part[-1]["step"] for part in parts]}
    for name in names:
        columns[name] = [_mean([entry.get(name) for entry in part]) for part in parts]
    return columns


def _mean(values: Sequence[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    if len(numbers) < len(values):
        return None
    return float(f"{sum(numbers) / len(numbers):.6g}")
