"""What the machine keeps of earlier work, how large it is, and how it is kept within a limit."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dar_bench.errors import UserError
from dar_bench.features.store import FeatureStore
from dar_bench.runs.folder import RunStore

DEFAULT_LIMIT = 20 * 10**9
"""Bytes that commands leave in the cache unless told otherwise."""

_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


@dataclass(frozen=True, kw_only=True)
class CacheEntry:
    """One thing that can be made again, whose loss costs time only.

    Attributes:
        kind: ``codes``, ``pairs``, ``features``.
        title: what it was called when it was made.
        key: its folder's name.
        size: bytes.
        last_used: seconds since the epoch.
        delete: removes it.
    """

    kind: str
    title: str
    key: str
    size: int
    last_used: float
    delete: Callable[[], None]


def cache_entries() -> list[CacheEntry]:
    """Return everything in the cache, the least recently used first."""
    runs, features = RunStore(), FeatureStore()
    found = [
        CacheEntry(
            kind=run.kind,
            title=f"{run.title}, {run.samples} samples",
            key=run.key,
            size=run.size,
            last_used=run.last_used,
            delete=lambda key=run.key: runs.delete(key),  # type: ignore[misc]
        )
        for run in runs.entries()
    ]
    found += [
        CacheEntry(
            kind="features",
            title=f"{entry.extractor} of {entry.images}",
            key=entry.key,
            size=entry.size,
            last_used=entry.last_used,
            delete=lambda key=entry.key: features.delete(key),  # type: ignore[misc]
        )
        for entry in features.entries()
    ]
    return sorted(found, key=lambda entry: entry.last_used)


def clear(limit: int = 0, entries: Sequence[CacheEntry] | None = None) -> list[CacheEntry]:
    """Delete entries, the least recently used first, until at most ``limit`` bytes are left.

    A process that uses a deleted entry makes it again.

    Returns:
        What was deleted.
    """
    kept = list(cache_entries() if entries is None else entries)
    total = sum(entry.size for entry in kept)
    deleted = []
    while kept and total > limit:
        oldest = kept.pop(0)
        oldest.delete()
        total -= oldest.size
        deleted.append(oldest)
    return deleted


def parse_size(text: str) -> int:
    """Return the bytes that ``20GB``, ``500 MB`` or ``0`` say; units count in thousands.

    Raises:
        UserError: another form.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?B)?", text.strip().upper())
    if match is None:
        raise UserError(f"'{text}' is no size.", hint="Write it like 20GB, 500MB or 0.")
    return int(float(match[1]) * _UNITS[match[2] or "B"])


def size_text(size: float) -> str:
    """Return a size as a person reads it: ``1.2 GB``."""
    for unit in ("TB", "GB", "MB", "kB"):
        factor = _UNITS[unit.upper()]
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size:.0f} B"
