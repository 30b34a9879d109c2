"""Sample archives for evaluators: ``arr_0`` uint8 NHWC, written as a stream."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from dar_bench.files import atomic_path


class NpzStream:
    """An archive being written; made by ``write_npz``."""

    def __init__(self, archive: zipfile.ZipFile, count: int, size: int):
        self._count = count
        self._size = size
        self._written = 0
        self._labels: list[int] = []
        # Stored, not compressed: readers can map the pixels. zip64, for the size is not known yet.
        self._file = archive.open("arr_0.npy", "w", force_zip64=True)
        self._file.write(_header((count, size, size, 3)))

    def add(self, images: torch.Tensor, labels: Sequence[int]) -> None:
        """Append images, uint8 (B, 3, size, size), with their labels.

        Raises:
            ValueError: other sizes or more images than were promised.
        """
        if tuple(images.shape[1:]) != (3, self._size, self._size) or images.dtype != torch.uint8:
            raise ValueError(
                f"cannot append {images.dtype} {tuple(images.shape)} to images of {self._size} px"
            )
        if self._written + len(images) > self._count:
            raise ValueError(f"{self._count} images were promised, and more came")
        self._file.write(images.permute(0, 2, 3, 1).contiguous().numpy().tobytes())
        self._labels += labels
        self._written += len(images)

    def finish(self, archive: zipfile.ZipFile) -> None:
        """Close ``arr_0`` and add the labels as ``arr_1``."""
        self._file.close()
        if self._written != self._count:
            raise ValueError(f"{self._count} images were promised, {self._written} came")
        with archive.open("arr_1.npy", "w") as file:
            buffer = io.BytesIO()
            np.save(buffer, np.asarray(self._labels, dtype=np.int64))
            file.write(buffer.getvalue())

    def abandon(self) -> None:
        """Let go of the unfinished file, so that the archive can be closed and removed."""
        self._file.close()


@contextmanager
def write_npz(path: str | Path, count: int, size: int) -> Iterator[NpzStream]:
    """Write an archive of ``count`` images of ``size`` pixels, completely or not at all.

    The labels go into ``arr_1``. The format is what the ADM evaluator and ``dar_bench.data`` read.

    Yields:
        A stream whose ``add`` takes batches.
    """
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        stream = NpzStream(archive, count, size)
        try:
            yield stream
        except BaseException:
            stream.abandon()
            raise
        stream.finish(archive)


def _header(shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return buffer.getvalue()
