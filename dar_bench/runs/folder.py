"""One run's folder and the store of all of them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dar_bench.array_files import Arrays, read_arrays, write_arrays
from dar_bench.errors import UserError
from dar_bench.files import folder_size, write_json
from dar_bench.hashing import sha256_json
from dar_bench.paths import home
from dar_bench.runs.shards import SHARD

ABOUT = "run.json"


@dataclass(frozen=True, kw_only=True)
class RunKey:
    """Everything that a run's arrays depend on, and nothing else: no name that a user chose, no sample count.

    Attributes:
        kind: what is kept (``codes``).
        depends: JSON values: hashes of weights, options, seeds, labels, precision, and the version of the code that
            makes the arrays.
    """

    kind: str
    depends: Mapping[str, Any]

    def digest(self) -> str:
        """Return the key's hash, 64 hexadecimal digits."""
        return sha256_json({"kind": self.kind, "depends": dict(self.depends)})


@dataclass(frozen=True, kw_only=True)
class RunEntry:
    """One run as it is listed.

    Attributes:
        key: hash of its key, which is its folder's name.
        kind: what it keeps.
        title: what it was called when it was made.
        samples: in whole shards.
        size: bytes on the disk.
        last_used: seconds since the epoch.
    """

    key: str
    kind: str
    title: str
    samples: int
    size: int
    last_used: float


class RunStore:
    """All runs of this machine.

    Args:
        folder: ``$DAR_BENCH_HOME/runs`` unless given.
    """

    def __init__(self, folder: Path | None = None):
        self.folder = folder or home() / "runs"

    def open(self, key: RunKey, title: str) -> Run:
        """Return a run, of which any number of shards may be there.

        Args:
            key: what it depends on.
            title: for listings.
        """
        return Run(self.folder / key.digest(), key, title)

    def entries(self) -> list[RunEntry]:
        """Return what is stored, the least recently used first."""
        folders = list(self.folder.iterdir()) if self.folder.is_dir() else []
        found = [_listed(folder) for folder in folders if (folder / ABOUT).is_file()]
        return sorted(found, key=lambda entry: entry.last_used)

    def delete(self, key: str) -> None:
        """Remove a run; one that is not there is no error, for another process may have removed it."""
        shutil.rmtree(self.folder / key, ignore_errors=True)


class Run:
    """The shards of one run; made by ``RunStore.open``.

    Attributes:
        folder: where they lie.
        key: what they depend on.
    """

    def __init__(self, folder: Path, key: RunKey, title: str):
        self.folder = folder
        self.key = key
        self._title = title

    def has(self, start: int, stop: int) -> bool:
        """Tell whether samples ``start`` to ``stop`` are there, without reading them."""
        return any(path.is_file() for path in self._candidates(start, stop))

    def read(self, start: int, stop: int) -> dict[str, Any] | None:
        """Return the arrays of samples ``start`` to ``stop``, or ``None`` where they are missing or damaged.

        A damaged shard is removed. A longer shard that begins at ``start`` serves too: sample i does not depend on
        how many there are.
        """
        for path in self._candidates(start, stop):
            arrays = read_arrays(path)
            if arrays is not None and all(len(values) >= stop - start for values in arrays.values()):
                self._touch()
                return {name: values[: stop - start] for name, values in arrays.items()}
            with contextlib.suppress(
                OSError
            ):  # what cannot be removed is replaced, or that fails with a reason
                path.unlink(missing_ok=True)
        return None

    def write(self, start: int, arrays: Arrays, spent: Mapping[str, float] | None = None) -> None:
        """Keep the arrays of the samples from ``start`` on.

        Args:
            start: first sample.
            arrays: one row per sample.
            spent: what the shard took: seconds by what took them (``model``, ``wall``) and facts (``memory`` in
                bytes); kept beside the shard, for records and estimates. What an earlier making of the same shard
                took and this one did not name stays.

        Raises:
            UserError: the disk is full, or the folder cannot be written to.
        """
        stop = start + len(next(iter(arrays.values())))
        if spent is not None:
            rounded = {name: round(value, 6) for name, value in spent.items()}
            write_json(self._spent(start, stop), {**(self._read_spent(start, stop) or {}), **rounded})
        write_arrays(self._shard(start, stop), arrays)
        self._touch()

    def seconds(self, start: int, stop: int, name: str) -> float | None:
        """Return the seconds that samples ``start`` to ``stop`` took, or ``None`` where they are not written down."""
        for end in dict.fromkeys((stop, start + SHARD)):
            spent = self._read_spent(start, end)
            if spent is not None and name in spent:
                return spent[name] * (stop - start) / (end - start)
        return None

    def fact(self, start: int, stop: int, name: str) -> float | None:
        """Return what is written down of the shard that samples ``start`` to ``stop`` are of, whatever its length."""
        for end in dict.fromkeys((stop, start + SHARD)):
            spent = self._read_spent(start, end)
            if spent is not None and name in spent:
                return spent[name]
        return None

    def keep(self, name: str, values: Mapping[str, Any]) -> None:
        """Keep JSON values that hold for the run as a whole.

        Raises:
            UserError: the disk is full, or the folder cannot be written to.
        """
        write_json(self.folder / f"{name}.json", dict(values))

    def kept(self, name: str) -> dict[str, Any] | None:
        """Return what was kept by that name, or ``None`` where there is nothing or it is damaged."""
        with contextlib.suppress(OSError, ValueError):
            found = json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))
            return found if isinstance(found, dict) else None
        return None

    def keep_arrays(self, name: str, arrays: Arrays) -> None:
        """Keep arrays that are of the run as a whole; errors as for ``write``."""
        write_arrays(self.folder / f"{name}.safetensors", arrays)

    def kept_arrays(self, name: str) -> dict[str, Any] | None:
        """Return the arrays of that name, or ``None`` where there are none or they are damaged."""
        return read_arrays(self.folder / f"{name}.safetensors")

    def lock_path(self, start: int) -> Path:
        """Return the file whose lock a process holds while it makes the shard that begins at ``start``."""
        return self.folder / f".lock-{start:08d}"

    def _candidates(self, start: int, stop: int) -> list[Path]:
        return [self._shard(start, end) for end in dict.fromkeys((stop, start + SHARD)) if end >= stop]

    def _shard(self, start: int, stop: int) -> Path:
        return self.folder / f"{start:08d}-{stop:08d}.safetensors"

    def _spent(self, start: int, stop: int) -> Path:
        return self.folder / f"{start:08d}-{stop:08d}.json"

    def _read_spent(self, start: int, stop: int) -> dict[str, float] | None:
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
            found = json.loads(self._spent(start, stop).read_text(encoding="utf-8"))
            return {str(name): float(value) for name, value in found.items()}
        return None

    def _touch(self) -> None:
        """Note the use. A store that can only be read is no error here: the note serves the listing alone."""
        path = self.folder / ABOUT
        with contextlib.suppress(OSError):
            if path.is_file():
                os.utime(path)
                return
        with contextlib.suppress(UserError):
            about = {"kind": self.key.kind, "title": self._title, "depends": dict(self.key.depends)}
            write_json(path, about)


def _listed(folder: Path) -> RunEntry:
    path = folder / ABOUT
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        last_used = path.stat().st_mtime
    except (OSError, ValueError):
        about, last_used = {}, 0.0
    shards = [file.stem.split("-") for file in folder.glob("????????-????????.safetensors")]
    return RunEntry(
        key=folder.name,
        kind=str(about.get("kind", "?")),
        title=str(about.get("title", "?")),
        samples=sum(int(stop) - int(start) for start, stop in shards),
        size=folder_size(folder),
        last_used=last_used,
    )
