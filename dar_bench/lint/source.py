"""The lint beside an image source: every image is seen as it is read, once."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dar_bench.data.base import FILE_MODE, UNLABELLED, ImageSource
from dar_bench.lint.collector import SampleLint
from dar_bench.lint.files import FileFacts


class WatchedSource(ImageSource):
    """A source whose images are shown to a lint when they are first read.

    Reads may come in any order and from several threads of this process; a copy in another process watches
    for itself, and its lint does not come back.
    """

    def __init__(self, source: ImageSource, lint: SampleLint):
        self._source = source
        self._lint = lint
        self._seen = np.zeros(len(source), dtype=bool)
        self._lock = threading.Lock()
        self.name = source.name
        self.class_names = source.class_names
        labels = source.labels()
        if len(labels) and (labels != UNLABELLED).all():
            lint.set_labels(labels)

    def __len__(self) -> int:
        return len(self._source)

    def key(self, index: int) -> str:
        """Return the image's key in the source."""
        return self._source.key(index)

    def labels(self) -> NDArray[np.int64]:
        """Return the source's labels."""
        return self._source.labels()

    def read_rest(self) -> None:
        """Read the images that nobody has read yet, so that the lint has seen all of them."""
        for index in range(len(self)):
            if not self._seen[index]:
                self[index]

    def fingerprint(self) -> str:
        """Return the source's fingerprint: watching changes nothing."""
        return self._source.fingerprint()

    def _load(self, index: int) -> Image.Image:
        image = self._source[index].image
        with self._lock:
            first = not self._seen[index]
            self._seen[index] = True
        if first:
            show(self._lint, image, self._source.key(index))
        return image

    def _describe(self) -> str:
        return self._source._describe()

    def __getstate__(self) -> dict[str, object]:
        raise TypeError("a watched source stays in its process; watch the copy there instead")


def show(lint: SampleLint, image: Image.Image, key: str) -> None:
    """Show one image to a lint, with what its file told where it came from one."""
    lint.see_file(
        FileFacts(
            key=key,
            width=image.width,
            height=image.height,
            format=image.format or "",
            mode=str(image.info.get(FILE_MODE, "")),
        )
    )
    lint.add(np.asarray(image)[None], channels_last=True, keys=[key])
