"""Images in ``.npz`` archives, as the ADM evaluator reads and this tool writes them."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dar_bench.data.base import UNLABELLED, ImageSource, describe_files
from dar_bench.errors import UserError

DAMAGED = (zipfile.BadZipFile, zlib.error, ValueError, EOFError, RuntimeError, OSError)
"""What reading an archive raises that is damaged, encrypted or of a form that Python does not know."""

COMPRESSED_LIMIT = 2 * 2**30
"""Bytes of pixels up to which a compressed archive is unpacked into memory."""

_LOCAL_HEADER = struct.Struct("<4s5HIII2H")


class NpzSource(ImageSource):
    """``arr_0`` of an npz archive: uint8 (n, H, W, 3), with optional labels ``arr_1`` of shape (n,).

    Archives written by ``numpy.savez`` store the pixels uncompressed; these are memory-mapped, so a file of
    any size costs no memory. A compressed archive has no random access and is unpacked into memory on first
    use.

    Raises:
        UserError: the archive is damaged, holds no image batch, or is compressed and larger than
            ``COMPRESSED_LIMIT``.
    """

    class_names: tuple[str, ...] = ()

    def __init__(self, name: str, path: Path):
        self.name = name
        self._path = path
        self._pixels: NDArray[np.uint8] | None = None
        try:
            with zipfile.ZipFile(path) as archive:
                members = {info.filename: info for info in archive.infolist()}
                if "arr_0.npy" not in members:
                    raise _no_images(path, members)
                self._member = members["arr_0.npy"]
                with archive.open(self._member) as file:
                    self._shape, self._dtype, fortran = _read_header(file)
                    self._header_size = file.tell()
                self._check(fortran)
                labels = _read_array(archive, "arr_1.npy") if "arr_1.npy" in members else None
        except DAMAGED as error:
            raise UserError(
                f"Cannot read {path} as an npz archive.", why=str(error), hint="Download or copy it again."
            ) from error
        self._labels = self._checked_labels(labels)

    def __len__(self) -> int:
        return self._shape[0]

    def key(self, index: int) -> str:
        """Return the file's name and the index in it."""
        return f"{self._path.name}:{index}"

    def labels(self) -> NDArray[np.int64]:
        """Return all labels, int64 (n,)."""
        return self._labels

    def pixels(self) -> NDArray[np.uint8]:
        """Return all pixels, uint8 (n, H, W, 3), memory-mapped where the archive is uncompressed."""
        if self._pixels is None:
            self._pixels = self._unpack() if self._member.compress_type else self._map()
        return self._pixels

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pixels": None}

    def _load(self, index: int) -> Image.Image:
        return Image.fromarray(np.array(self.pixels()[index]))

    def _describe(self) -> str:
        return "npz\n" + describe_files([("", self._path)])

    def _map(self) -> NDArray[np.uint8]:
        with self._path.open("rb") as file:
            file.seek(self._member.header_offset)
            # The local header repeats the name and has an extra field of its own length before the data.
            *_, name_length, extra_length = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
        start = self._member.header_offset + _LOCAL_HEADER.size + name_length + extra_length
        return np.memmap(
            self._path, dtype=np.uint8, mode="r", offset=start + self._header_size, shape=self._shape
        )

    def _unpack(self) -> NDArray[np.uint8]:
        try:
            with zipfile.ZipFile(self._path) as archive:
                pixels: NDArray[np.uint8] = _read_array(archive, "arr_0.npy")
        except DAMAGED as error:
            raise UserError(f"Cannot unpack arr_0 of {self._path}.", why=str(error)) from error
        return pixels

    def _check(self, fortran: bool) -> None:
        shape, dtype = self._shape, self._dtype
        if dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or fortran:
            raise UserError(
                f"arr_0 of {self._path} is {dtype} of shape {shape}{' in Fortran order' if fortran else ''}.",
                why="Images are uint8 of shape (n, height, width, 3).",
                hint=_advice(shape, dtype),
            )
        if min(shape) == 0:
            raise UserError(f"{self._path} holds no images.", why=f"arr_0 has shape {shape}.")
        stored_end = self._member.file_size - self._header_size
        if stored_end != int(np.prod(shape)):
            raise UserError(
                f"arr_0 of {self._path} is cut short.",
                why=f"Shape {shape} needs {int(np.prod(shape))} bytes, there are {stored_end}.",
            )
        if self._member.compress_type and self._member.file_size > COMPRESSED_LIMIT:
            raise UserError(
                f"{self._path} is compressed and holds {self._member.file_size / 2**30:.1f} GiB of pixels.",
                why="A compressed archive has no random access and would have to fit in memory.",
                hint="Write it again with numpy.savez, which does not compress.",
            )

    def _checked_labels(self, labels: NDArray[Any] | None) -> NDArray[np.int64]:
        count = self._shape[0]
        if labels is None:
            return np.full(count, UNLABELLED, dtype=np.int64)
        if labels.shape != (count,) or labels.dtype.kind not in "iu":
            raise UserError(
                f"arr_1 of {self._path} is {labels.dtype} of shape {labels.shape}.",
                why=f"The {count} images need integer labels of shape ({count},).",
            )
        return labels.astype(np.int64)


def _read_header(file: Any) -> tuple[tuple[int, ...], np.dtype[Any], bool]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    return tuple(shape), dtype, fortran


def _read_array(archive: zipfile.ZipFile, member: str) -> NDArray[Any]:
    with archive.open(member) as file:
        array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    return array


def _advice(shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
    """Say what to do with an array that is no image batch, where its shape or type tells."""
    if len(shape) == 4 and shape[1] == 3 and shape[3] != 3:
        return "Move the channels to the end."
    if len(shape) == 3 or (len(shape) == 4 and shape[3] == 1):
        return "These look greyscale: repeat the channel three times."
    if len(shape) == 4 and shape[3] == 4:
        return "These have an alpha channel: composite them on a background and drop it."
    if dtype.kind == "f" and len(shape) == 4:
        return "Bring floats to 0..255, round, and convert: (x * 255).round().astype('uint8') for 0..1."
    return ""


def _no_images(path: Path, members: Mapping[str, object]) -> UserError:
    names = [name.removesuffix(".npy") for name in members]
    if {"mu", "sigma"} <= set(names):
        return UserError(
            f"{path} holds statistics (mu, sigma), not images.",
            hint="Use it as a reference of a score, or name the images themselves.",
        )
    listed = ", ".join(names) if names else "nothing"
    return UserError(
        f"{path} has no array 'arr_0'.",
        why=f"It holds {listed}.",
        hint="Save the images under that name, as numpy.savez(FILE, images) does.",
    )
