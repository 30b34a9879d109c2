"""Filling a cache of token codes, and going on after an interruption."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dar_bench.data.base import hash_file
from dar_bench.data.codes import FORMAT, INDEX, VERSION, CacheKey, CodeCache, Codes, read_index
from dar_bench.errors import UserError
from dar_bench.files import atomic_path, write_json, writing

SHARD_ROWS = 1024
"""Images in a shard: what a killed run loses at most."""

_OURS = re.compile(r"index\.json|\.lock|(\.tmp-[0-9a-f]+-)?(codes-\d+\.npy|labels-\d+\.npy|index\.json)")


class CodeWriter:
    """Fills a cache, or goes on filling it; use it in a ``with`` block.

    Leaving the block writes the rows that are still in memory, also when it is left by Ctrl-C.

    Args:
        folder: created where it does not exist; otherwise a cache of the same key, or empty.
        key: what the codes depend on.
        crops: crops of every image.
        expected: images of the complete cache.
        class_names: names by label, kept with the codes.
        shard_rows: images to a shard.
        overwrite: drop what a cache in ``folder`` holds, whatever its key.

    Raises:
        UserError: the folder holds something else or codes of another key, or another process writes there.
    """

    def __init__(
        self,
        folder: str | Path,
        key: CacheKey,
        *,
        crops: int,
        expected: int,
        class_names: Sequence[str] = (),
        shard_rows: int = SHARD_ROWS,
        overwrite: bool = False,
    ):
        self.folder = Path(folder)
        self._dtype = np.uint16 if key.codebook_size <= 2**16 else np.uint32
        self._shard_rows = shard_rows
        self._codes: list[NDArray[Any]] = []
        self._labels: list[NDArray[np.int64]] = []
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(self.folder)
        try:
            self._index = self._start(key, crops, expected, class_names, overwrite)
        except BaseException:
            os.close(self._lock)
            raise
        self._pending = 0

    def __len__(self) -> int:
        """Return how many images the cache holds, those still in memory included."""
        written: int = sum(shard["rows"] for shard in self._index["shards"])
        return written + self._pending

    def append(self, codes: Codes, labels: NDArray[np.int64]) -> None:
        """Add images: codes int64 (n, crops, N) and their labels int64 (n,).

        Raises:
            ValueError: the shape does not fit the cache, or a code is outside the codebook.
        """
        key = self._index["key"]
        shape = (len(labels), self._index["crops"], key["tokens"])
        if codes.shape != shape:
            raise ValueError(f"codes have shape {codes.shape}, the cache needs {shape}")
        if codes.size and not 0 <= codes.min() <= codes.max() < key["codebook_size"]:
            raise ValueError(f"codes from {codes.min()} to {codes.max()} of {key['codebook_size']}")
        start = 0
        while start < len(labels):
            end = start + min(self._shard_rows - self._pending, len(labels) - start)
            self._codes.append(codes[start:end].astype(self._dtype))
            self._labels.append(labels[start:end].astype(np.int64))
            self._pending += end - start
            start = end
            if self._pending == self._shard_rows:
                self.flush()

    def flush(self) -> None:
        """Write the rows in memory as a shard and list it in the index."""
        if not self._pending:
            return
        shards = self._index["shards"]
        number = len(shards)
        files = [
            self._save(f"codes-{number:05d}.npy", np.concatenate(self._codes)),
            self._save(f"labels-{number:05d}.npy", np.concatenate(self._labels)),
        ]
        entry = {"start": len(self) - self._pending, "rows": self._pending, "files": files}
        write_json(self.folder / INDEX, {**self._index, "shards": [*shards, entry]})
        shards.append(entry)
        self._codes, self._labels, self._pending = [], [], 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.flush()
        finally:
            os.close(self._lock)

    def _start(
        self, key: CacheKey, crops: int, expected: int, class_names: Sequence[str], overwrite: bool
    ) -> dict[str, Any]:
        path = self.folder / INDEX
        if path.exists() and not overwrite:
            # Sizes are checked here, hashes when the codes are used.
            cache = CodeCache.open(self.folder, key, verify=False)
            index = {**read_index(self.folder), "expected": max(expected, len(cache))}
            write_json(path, index)
            return index
        others = sorted(child.name for child in self.folder.iterdir() if not _is_ours(child.name))
        if others:
            raise UserError(
                f"{self.folder} holds other files than codes, such as {others[0]}.",
                why="Codes get a folder of their own, so that replacing them removes nothing else.",
                hint="Choose another folder.",
            )
        index = {
            "format": FORMAT,
            "version": VERSION,
            "key": asdict(key),
            "crops": crops,
            "expected": expected,
            "class_names": list(class_names),
            "shards": [],
        }
        # The index goes first: a shard it does not list is no part of the cache.
        write_json(path, index)
        for child in list(self.folder.iterdir()):
            if child.suffix == ".npy" and _is_ours(child.name):
                child.unlink()
        return index

    def _save(self, name: str, array: NDArray[Any]) -> dict[str, Any]:
        with atomic_path(self.folder / name) as path:
            np.save(path, array)
            return {"name": name, "size": path.stat().st_size, "sha256": hash_file(path)}


def _is_ours(name: str) -> bool:
    return _OURS.fullmatch(name) is not None


def _lock(folder: Path) -> int:
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UserError(
            f"Another process writes codes to {folder}.", hint="Wait for it, or choose another folder."
        ) from None
    return descriptor
