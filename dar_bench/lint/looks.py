"""What the lint needs of an image, kept in place of the image: a sweep's samples are seen once and judged later.

Beside the hash that is kept of every image anyway: whether it has a single colour, how often every grey level occurs
in it, and for reconstructions its mean difference from the original and the original's grey levels. Grey levels are
kept of the first images only, as many as the lint counts; they are 1 kB each. The search for traces of JPEG needs
pixels: those of the first images of the run are kept as they are, 3 MB at most.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dar_bench.array_files import Arrays
from dar_bench.lint.blocks import BLOCK
from dar_bench.lint.levels import LEVELS
from dar_bench.lint.pixels import JPEG_BLOCKS, LEVEL_SAMPLE


class Looks:
    """Gathers what is kept of the samples from ``first`` on.

    Args:
        first: running number of the first sample. With 0 its pixels and those that follow are kept, too.
    """

    def __init__(self, first: int):
        self._first = first
        self._parts: dict[str, list[NDArray[Any]]] = {}
        self._pixels: list[NDArray[np.uint8]] = []
        self._kept = 0

    def add(self, images: NDArray[np.uint8], originals: NDArray[np.uint8] | None = None) -> None:
        """Take a batch, uint8 (b, 3, H, W), with the images that it reconstructs."""
        flat = images.reshape(*images.shape[:2], -1)
        self._append("blank", (flat == flat[:, :, :1]).all(axis=(1, 2)).astype(np.uint8))
        counted = self._first < LEVEL_SAMPLE
        if counted:
            self._append("levels", _levels(images))
        if originals is not None:
            means = [side.reshape(len(side), -1).mean(axis=1) for side in (images, originals)]
            self._append("difference", means[0] - means[1])
            if counted:
                self._append("original_levels", _levels(originals))
        blocks = max(1, (images.shape[2] // BLOCK) * (images.shape[3] // BLOCK))
        wanted = -(-JPEG_BLOCKS // blocks) - self._kept
        if self._first == 0 and wanted > 0:
            self._pixels.append(images[:wanted].copy())
            self._kept += len(self._pixels[-1])

    def arrays(self) -> dict[str, Any]:
        """Return one row for every sample: ``blank``, uint8; for some ``levels``, uint32 (n, 256); of
        reconstructions ``difference``, float64, and for some ``original_levels``."""
        return {name: np.concatenate(parts) for name, parts in self._parts.items()}

    def pixels(self) -> NDArray[np.uint8] | None:
        """Return the first images, uint8 (m, 3, H, W), where this is the beginning of a run."""
        return np.concatenate(self._pixels) if self._pixels else None

    def _append(self, name: str, values: NDArray[Any]) -> None:
        self._parts.setdefault(name, []).append(values)


def level_sum(looks: Arrays, name: str, rows: int) -> NDArray[np.int64]:
    """Return how often every level occurs in the first ``rows`` images, int64 (256,); zeros where it is not kept."""
    found = looks.get(name)
    none: NDArray[np.int64] = np.zeros(LEVELS, dtype=np.int64)
    return none if found is None else found[: max(0, rows)].sum(axis=0, dtype=np.int64)


def _levels(images: NDArray[np.uint8]) -> NDArray[np.uint32]:
    return np.stack([np.bincount(one.reshape(-1), minlength=LEVELS) for one in images]).astype(np.uint32)
