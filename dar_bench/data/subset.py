"""Some images of a source: chosen by number, spread evenly, or those that can be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dar_bench.data.base import ImageSource
from dar_bench.errors import UserError


class SubsetSource(ImageSource):
    """Images of a source by their indices, in the order of the indices."""

    def __init__(self, whole: ImageSource, rows: Sequence[int]):
        self._whole = whole
        self._rows = list(rows)
        self._labels = whole.labels()[self._rows]
        self.name = whole.name
        self.class_names = whole.class_names

    def __len__(self) -> int:
        return len(self._rows)

    def key(self, index: int) -> str:
        """Return the image's key in the whole source."""
        return self._whole.key(self._rows[index])

    def labels(self) -> NDArray[np.int64]:
        """Return the labels of the chosen images."""
        return self._labels

    def _load(self, index: int) -> Image.Image:
        return self._whole[self._rows[index]].image

    def _describe(self) -> str:
        rows = "\n".join(map(str, self._rows))
        return f"subset\n{rows}\n{self._whole.fingerprint()}"


class SpreadSource(SubsetSource):
    """So many images of a source, spread evenly over it: a sample of sets that are sorted by class."""

    def __init__(self, whole: ImageSource, count: int):
        super().__init__(whole, [number * len(whole) // count for number in range(count)])

    def _describe(self) -> str:
        return f"spread\n{len(self)}\n{self._whole.fingerprint()}"


def spread(source: ImageSource, limit: int | None) -> ImageSource:
    """Return ``limit`` images spread evenly over a source, or the source itself where it has no more."""
    return source if limit is None or limit >= len(source) else SpreadSource(source, limit)


def readable(
    source: ImageSource, *, on_images: Callable[[int], Any] = lambda count: None
) -> tuple[ImageSource, list[str]]:
    """Read every image once and return those that can be, with the keys of the others.

    Args:
        source: the images. on_images: told how many were tried.

    Returns:
        The source itself where all can be read.

    Raises:
        UserError: none can be read.
    """
    rows, unreadable = [], []
    first: UserError | None = None
    for index in range(len(source)):
        try:
            source[index]
        except UserError as error:
            first = first or error
            unreadable.append(source.key(index))
        else:
            rows.append(index)
        on_images(1)
    if first is not None and not rows:
        raise first
    return (SubsetSource(source, rows) if unreadable else source), unreadable
