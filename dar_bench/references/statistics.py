"""Reference statistics in files: an npz with ``mu`` and ``sigma``, and what else may stand beside them.

    mu, sigma       mean (D,) and covariance (D, D) of the pooled features
    mu_s, sigma_s   the same of the spatial features, for sFID
    arr_0           images, uint8 (n, H, W, 3): precision and recall are measured on these
    about           JSON text: which extractor, how many images, which size and crop; files made here have it

ADM's reference batches hold the first five; a file with ``mu`` and ``sigma`` alone is what most tools write.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dar_bench.data.npz import DAMAGED, NpzSource
from dar_bench.errors import UserError
from dar_bench.files import atomic_path
from dar_bench.hashing import sha256_bytes
from dar_bench.metrics.moments import Gaussian

if TYPE_CHECKING:
    from dar_bench.data import ImageSource

_PARTS = {"pool": ("mu", "sigma"), "spatial": ("mu_s", "sigma_s")}


@dataclass(frozen=True, kw_only=True)
class About:
    """What a file says of its statistics; empty where it says nothing.

    Attributes:
        extractor: its name. fingerprint: ``Extractor.fingerprint()``.
        images: what the images were called. images_fingerprint: of their content and crop.
        count: how many; 0 where unknown.
        size: side in pixels; 0 where unknown.
        crop: how they were cut.
    """

    extractor: str = ""
    fingerprint: str = ""
    images: str = ""
    images_fingerprint: str = ""
    count: int = 0
    size: int = 0
    crop: str = ""


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Moments from a file, and the images beside them.

    Attributes:
        path: the file.
        moments: ``pool`` and, where it is there, ``spatial``.
        fingerprint: hash of the moments.
        about: what the file says of itself.
        images: its ``arr_0``; ``None`` where there is none.
    """

    path: Path
    moments: Mapping[str, Gaussian]
    fingerprint: str
    about: About = field(default_factory=About)
    images: ImageSource | None = None


def holds_statistics(path: Path) -> bool:
    """Tell whether a file is an npz archive with ``mu`` and ``sigma``; a damaged archive is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {"mu.npy", "sigma.npy"} <= set(archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


def read_statistics(path: Path, *, name: str = "", count: int = 0) -> Statistics:
    """Read a file of statistics.

    Args:
        path: the file. name: what the user called it.
        count: images that the statistics are of, where the file does not say it.

    Raises:
        UserError: not such a file, damaged, or arrays of the wrong shape or type, or not finite.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files if key != "arr_0"}
            has_images = "arr_0" in archive.files
    except DAMAGED as error:
        raise UserError(
            f"Cannot read the statistics in {path}.", why=str(error), hint="Download or build them again."
        ) from error
    about = _about(arrays.get("about"), path)
    moments = {
        part: _moments(arrays, *keys, path=path, count=about.count or count)
        for part, keys in _PARTS.items()
        if set(keys) & set(arrays)
    }
    if "pool" not in moments:
        listed = ", ".join(arrays) or "nothing"
        raise UserError(f"{path} holds no statistics.", why=f"There is no mu and sigma; it holds {listed}.")
    images = None
    if has_images:
        images = NpzSource(name or str(path), path)
    return Statistics(
        path=path, moments=moments, fingerprint=_fingerprint(moments), about=about, images=images
    )


def write_statistics(path: Path, moments: Mapping[str, Gaussian], about: About) -> None:
    """Write statistics to an npz file that other tools read too, completely or not at all."""
    arrays: dict[str, NDArray[Any]] = {"about": np.array(json.dumps(about.__dict__))}
    for part, gaussian in moments.items():
        mean, covariance = _PARTS[part]
        arrays[mean], arrays[covariance] = gaussian.mean, gaussian.covariance
    write_arrays(path, arrays)


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an npz file whatever its name ends in, completely or not at all."""
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _about(text: NDArray[Any] | None, path: Path) -> About:
    if text is None:
        return About()
    try:
        return About(**json.loads(str(text)))
    except (ValueError, TypeError) as error:
        raise UserError(f"What {path} says of itself cannot be read.", why=str(error)) from error


def _moments(
    arrays: Mapping[str, NDArray[Any]], mean_key: str, covariance_key: str, *, path: Path, count: int
) -> Gaussian:
    lacking = [key for key in (mean_key, covariance_key) if key not in arrays]
    if lacking:
        raise UserError(f"{path} has no array '{lacking[0]}'.", why=f"It holds {', '.join(arrays)}.")
    mean, covariance = arrays[mean_key], arrays[covariance_key]
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
        raise UserError(
            f"{mean_key} {mean.shape} and {covariance_key} {covariance.shape} of {path} do not belong together.",
            why="A mean is (D,), a covariance (D, D).",
        )
    for key, array in ((mean_key, mean), (covariance_key, covariance)):
        if array.dtype.kind != "f":
            raise UserError(
                f"{key} of {path} is {array.dtype}.", why="Statistics are floating-point numbers."
            )
        if not np.isfinite(array).all():
            raise UserError(f"{key} of {path} holds NaN or infinity.", hint="Build the statistics again.")
    covariance = covariance.astype(np.float64)
    largest = float(np.abs(covariance).max())
    # Sums in another order leave differences of some roundings of the file's own precision.
    allowed = largest * np.sqrt(np.finfo(arrays[covariance_key].dtype).eps)
    if float(np.abs(covariance - covariance.T).max()) > allowed:
        raise UserError(f"{covariance_key} of {path} is not symmetric.", why="It is no covariance matrix.")
    # Of an unknown number of images full rank is assumed, as all published statistics have it.
    return Gaussian(mean=mean.astype(np.float64), covariance=covariance, n=count or len(mean) + 1)


def _fingerprint(moments: Mapping[str, Gaussian]) -> str:
    parts = [
        f"{part}:{sha256_bytes(gaussian.mean.tobytes())}:{sha256_bytes(gaussian.covariance.tobytes())}"
        for part, gaussian in sorted(moments.items())
    ]
    return f"statistics;sha256={sha256_bytes(chr(10).join(parts).encode())}"
