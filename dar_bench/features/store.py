"""Features that were computed once and need not be computed again.

    $DAR_BENCH_HOME/features/<key>/entry.json                       what it is, for a person
    $DAR_BENCH_HOME/features/<key>/00000512-00001024.safetensors    rows 512 to 1023

The key is the hash of what the features depend on: the images' content and crop, the extractor's weights and
preprocessing; never a name that a user chose. Every shard stands for itself: it is written completely or not
at all, holds the hash of its rows, and is computed again where that does not fit. So a killed run goes on
where it was, and several processes may fill one entry.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dar_bench.array_files import read_arrays, write_arrays
from dar_bench.errors import UserError
from dar_bench.features.base import Features
from dar_bench.files import folder_size, write_json
from dar_bench.hashing import sha256_json
from dar_bench.paths import home

SHARD = 512
"""Images to a shard: what a killed run loses at most."""

_ENTRY = "entry.json"
_FIELDS = ("pool", "probabilities", "spatial")


@dataclass(frozen=True, kw_only=True)
class FeatureKey:
    """What stored features depend on.

    Attributes:
        images: fingerprint of the images' content, order and crop.
        extractor: ``Extractor.fingerprint()``.
    """

    images: str
    extractor: str

    def digest(self) -> str:
        """Return the key's hash, 64 hexadecimal digits."""
        return sha256_json({"images": self.images, "extractor": self.extractor})


@dataclass(frozen=True, kw_only=True)
class StoreEntry:
    """One entry of the store, as it is listed.

    Attributes:
        key: its hash, which is its folder's name.
        images: what the images were called when it was made; for a person only.
        extractor: the extractor's name.
        size: bytes on the disk.
        last_used: seconds since the epoch.
    """

    key: str
    images: str
    extractor: str
    size: int
    last_used: float


class FeatureStore:
    """All stored features of this machine.

    Args:
        folder: ``$DAR_BENCH_HOME/features`` unless given.
    """

    def __init__(self, folder: Path | None = None):
        self.folder = folder or home() / "features"

    def open(self, key: FeatureKey, *, images: str, extractor: str) -> StoredFeatures:
        """Return the features of a key, of which any number of shards may be there.

        Args:
            key: what they depend on.
            images, extractor: names for listings.
        """
        return StoredFeatures(self.folder / key.digest(), key, images, extractor)

    def entries(self) -> list[StoreEntry]:
        """Return what is stored, the least recently used first."""
        folders = self.folder.iterdir() if self.folder.is_dir() else ()
        found = [_listed(folder) for folder in folders if (folder / _ENTRY).is_file()]
        return sorted(found, key=lambda entry: entry.last_used)

    def delete(self, key: str) -> None:
        """Remove an entry; one that is not there is no error, for another process may have removed it."""
        shutil.rmtree(self.folder / key, ignore_errors=True)


class StoredFeatures:
    """The shards of one set of images and one extractor; made by ``FeatureStore.open``."""

    def __init__(self, folder: Path, key: FeatureKey, images: str, extractor: str):
        self.folder = folder
        self._key = key
        self._images = images
        self._extractor = extractor

    def has(self, start: int, stop: int) -> bool:
        """Tell whether rows ``start`` to ``stop`` are there, without reading them."""
        return self._shard(start, stop).is_file()

    def read(self, start: int, stop: int) -> Features | None:
        """Return rows ``start`` to ``stop``, or ``None`` where they are not stored or damaged.

        A damaged shard is removed.
        """
        path = self._shard(start, stop)
        if not path.is_file():
            return None
        arrays = read_arrays(path) or {}
        if "pool" not in arrays or len(arrays["pool"]) != stop - start:
            with contextlib.suppress(
                OSError
            ):  # what cannot be removed is replaced, or that fails with a reason
                path.unlink(missing_ok=True)
            return None
        self._touch()
        return Features(
            pool=arrays["pool"],
            probabilities=arrays.get("probabilities"),
            spatial=arrays.get("spatial"),
            extractor=self._extractor,
            fingerprint=self._key.extractor,
        )

    def write(self, start: int, features: Features) -> None:
        """Keep the features of the images from ``start`` on.

        Raises:
            UserError: values that are not finite, features of another extractor, or a full disk.
        """
        if features.fingerprint != self._key.extractor:
            raise ValueError(f"features of '{features.fingerprint}' do not belong to '{self._key.extractor}'")
        arrays = {name: values for name in _FIELDS if (values := getattr(features, name)) is not None}
        check_finite(features, start)
        write_arrays(self._shard(start, start + len(features)), arrays)
        self._touch()

    def _shard(self, start: int, stop: int) -> Path:
        return self.folder / f"{start:08d}-{stop:08d}.safetensors"

    def _touch(self) -> None:
        """Note the use; the listing is for people, so a store that cannot be written to is no error here."""
        path = self.folder / _ENTRY
        with contextlib.suppress(OSError):
            if path.is_file():
                os.utime(path)
                return
        with contextlib.suppress(UserError):
            about = {"images": self._images, "extractor": self._extractor}
            write_json(path, {**about, "key": {"images": self._key.images, "extractor": self._key.extractor}})


def check_finite(features: Features, first: int = 0) -> None:
    """Refuse features with NaN or infinity.

    Args:
        features: of images ``first`` and following.

    Raises:
        UserError: with the number of the first bad image.
    """
    for name in _FIELDS:
        values = getattr(features, name)
        if values is None:
            continue
        bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if len(bad):
            raise UserError(
                f"The {name} features of image {first + int(bad[0])} are not finite"
                f"{f', nor those of {len(bad) - 1} more' if len(bad) > 1 else ''}.",
                why="NaN or infinity would turn every score into NaN.",
                hint="Look at that image, and at the precision of the device.",
            )


def _listed(folder: Path) -> StoreEntry:
    path = folder / _ENTRY
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        last_used = path.stat().st_mtime
    except (OSError, ValueError):
        about, last_used = {}, 0.0
    return StoreEntry(
        key=folder.name,
        images=str(about.get("images", "?")),
        extractor=str(about.get("extractor", "?")),
        size=folder_size(folder),
        last_used=last_used,
    )
