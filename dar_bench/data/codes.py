"""Caches of token codes: a data set encoded once, so that AR training never runs the tokenizer.

A cache is a folder: ``index.json`` and shards ``codes-00000.npy`` (rows, crops, N) with ``labels-00000.npy``
(rows,). A shard counts once the index lists it, and both are moved into place whole: a run that is killed
leaves all finished shards, and the next run goes on behind them.
"""

from __future__ import annotations

import bisect
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dar_bench.data.base import hash_file
from dar_bench.errors import UserError

FORMAT = "dar-bench codes"
VERSION = 1
INDEX = "index.json"

_MAKE_AGAIN = "Make the codes again: dar-bench tokenize ... --overwrite"

Codes = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class CacheKey:
    """Everything that codes depend on; a cache serves one key only.

    Attributes:
        tokenizer: SHA-256 of the tokenizer's weights.
        data: fingerprint of the image source.
        image_size: side of the encoded squares, in pixels.
        crops: the crop recipe, with its parameters.
        tokens: codes of one crop.
        codebook_size: codes are below it.
    """

    tokenizer: str
    data: str
    image_size: int
    crops: str
    tokens: int
    codebook_size: int

    def differences(self, other: CacheKey) -> list[str]:
        """Return one phrase for every part in which ``other`` differs, ours first."""
        titles = {
            "tokenizer": "tokenizer weights",
            "data": "data",
            "image_size": "image size",
            "crops": "crops",
            "tokens": "tokens per image",
            "codebook_size": "codebook size",
        }
        ours, theirs = asdict(self), asdict(other)
        return [
            f"{title} {_short(ours[name])} instead of {_short(theirs[name])}"
            for name, title in titles.items()
            if ours[name] != theirs[name]
        ]


@dataclass(frozen=True)
class _Shard:
    """One shard as the index lists it; ``start`` is the row of its first image in the cache."""

    start: int
    rows: int
    files: tuple[tuple[str, int, str], ...]


class _CodeFile:
    """The codes of one shard, (rows, crops, N), read from the disk row by row.

    Not memory-mapped: every map holds a file open, and ImageNet has more shards than a process may have files.
    """

    def __init__(self, path: Path):
        self._path = path
        with path.open("rb") as stream:
            np.lib.format.read_magic(stream)
            (_, self._crops, self._tokens), _, self._dtype = np.lib.format.read_array_header_1_0(stream)
            self._start = stream.tell()

    def read(self, row: int, crop: int) -> Codes:
        first = (row * self._crops + crop) * self._tokens
        offset = self._start + first * self._dtype.itemsize
        found: Codes = np.fromfile(self._path, self._dtype, self._tokens, offset=offset).astype(np.int64)
        return found


class CodeCache:
    """Codes and labels of a data set, with random access; codes stay on the disk, labels are kept in memory.

    Can be pickled and read from DataLoader workers; every process opens the shards for itself, on first use.

    Attributes:
        folder: where the cache lies.
        key: what the codes depend on.
        class_names: names by label, where the data set has names.
        expected: images that the cache holds when it is complete.
        crops: crops of every image.
    """

    def __init__(self, folder: Path, index: dict[str, Any]):
        self.folder = folder
        try:
            self.key = CacheKey(**index["key"])
            self.class_names: tuple[str, ...] = tuple(index["class_names"])
            self.expected: int = index["expected"]
            self.crops: int = index["crops"]
            self._shards = [
                _Shard(s["start"], s["rows"], tuple((f["name"], f["size"], f["sha256"]) for f in s["files"]))
                for s in index["shards"]
            ]
        except (KeyError, TypeError) as error:
            raise UserError(
                f"{folder / INDEX} is damaged.", why=f"It lacks {error}.", hint=_MAKE_AGAIN
            ) from error
        self._starts = [shard.start for shard in self._shards]
        self._opened: dict[int, tuple[_CodeFile, NDArray[np.int64]]] = {}

    @classmethod
    def open(cls, folder: str | Path, key: CacheKey | None = None, *, verify: bool = True) -> Self:
        """Open a cache for reading.

        Args:
            key: what the caller's codes depend on; the cache must have been made with the same.
            verify: read all shards once and compare their hashes; otherwise only their sizes.

        Raises:
            UserError: no cache, another key (says which parts differ), or a damaged shard (names it).
        """
        folder = Path(folder)
        cache = cls(folder, read_index(folder))
        if key is not None:
            cache.require(key)
        cache.check_files(hashes=verify)
        return cache

    def require(self, key: CacheKey) -> None:
        """Raise a ``UserError`` unless the cache was made with ``key``."""
        differences = self.key.differences(key)
        if differences:
            raise UserError(
                f"The codes in {self.folder} were made with other input.",
                why=f"They have {'; '.join(differences)}.",
                hint="Choose another folder, or replace these codes with tokenize --overwrite.",
            )

    def check_files(self, *, hashes: bool) -> None:
        """Raise a ``UserError`` that names the first shard file with another size or hash than recorded."""
        for name, size, sha256 in (file for shard in self._shards for file in shard.files):
            path = self.folder / name
            if not path.is_file():
                problem = "It is missing."
            elif path.stat().st_size != size:
                problem = f"It has {path.stat().st_size} bytes, {size} were written."
            elif hashes and hash_file(path) != sha256:
                problem = "Its contents differ from what was written (SHA-256)."
            else:
                continue
            raise UserError(f"The shard {path} is damaged.", why=problem, hint=_MAKE_AGAIN)

    def __len__(self) -> int:
        return self._shards[-1].start + self._shards[-1].rows if self._shards else 0

    @property
    def complete(self) -> bool:
        """Whether all expected images are in the cache."""
        return len(self) >= self.expected

    def codes(self, index: int, crop: int = 0) -> Codes:
        """Return the codes of one crop of one image, int64 (N,).

        Raises:
            IndexError: no such image or crop.
        """
        if not 0 <= crop < self.crops:
            raise IndexError(f"crop {crop} of {self.crops}")
        codes, _, row = self._locate(index)
        return codes.read(row, crop)

    def label(self, index: int) -> int:
        """Return the label of one image."""
        _, labels, row = self._locate(index)
        return int(labels[row])

    def labels(self) -> NDArray[np.int64]:
        """Return all labels, int64 (n,)."""
        parts = [self._open_shard(shard)[1] for shard in range(len(self._shards))]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)

    def usage(self) -> NDArray[np.int64]:
        """Return how often each code occurs in all crops, int64 (codebook_size,)."""
        counts = np.zeros(self.key.codebook_size, dtype=np.int64)
        for shard in self._shards:
            codes = np.load(self.folder / shard.files[0][0])
            counts += np.bincount(codes.reshape(-1), minlength=len(counts))
        return counts

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": {}}

    def _locate(self, index: int) -> tuple[_CodeFile, NDArray[np.int64], int]:
        if not 0 <= index < len(self):
            raise IndexError(f"image {index} of {len(self)}")
        shard = bisect.bisect_right(self._starts, index) - 1
        codes, labels = self._open_shard(shard)
        return codes, labels, index - self._starts[shard]

    def _open_shard(self, shard: int) -> tuple[_CodeFile, NDArray[np.int64]]:
        if shard not in self._opened:
            codes, labels = (self.folder / name for name, _, _ in self._shards[shard].files)
            self._opened[shard] = (_CodeFile(codes), np.load(labels))
        return self._opened[shard]


def utilisation(counts: NDArray[np.int64]) -> tuple[float, float]:
    """Return what share of the codebook is in use (0 to 1), and the entropy of the codes in bits."""
    if counts.sum() == 0:
        return 0.0, 0.0
    used = counts[counts > 0] / counts.sum()
    return len(used) / len(counts), max(0.0, -math.fsum(used * np.log2(used)))


def _short(value: object) -> str:
    # Twelve digits of a hash are enough to tell two apart by eye.
    return value[:12] if isinstance(value, str) and len(value) == 64 else str(value)


def read_index(folder: Path) -> dict[str, Any]:
    """Return the index of the cache in ``folder``; a ``UserError`` says why there is none to read."""
    path = folder / INDEX
    try:
        index = json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(
            f"{folder} holds no codes.",
            why=f"There is no {INDEX} in it.",
            hint=f"Make them with: dar-bench tokenize TOKENIZER DATA --out {folder}",
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(f"Cannot read {path}.", why=str(error), hint=_MAKE_AGAIN) from error
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise UserError(f"{path} is no index of codes.", hint="Choose another folder.")
    if index.get("version") != VERSION:
        raise UserError(
            f"{path} has version {index.get('version')}, this program reads version {VERSION}.",
            hint=_MAKE_AGAIN,
        )
    return index
