"""Sample archives that no image source accepts (floats, channels first), read as a stream to be judged."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from dar_bench.data.npz import DAMAGED
from dar_bench.errors import UserError

MEMBER = "arr_0.npy"
_BLOCK_BYTES = 64 << 20


def array_facts(path: Path) -> tuple[tuple[int, ...], np.dtype[Any]] | None:
    """Return shape and type of ``arr_0`` of an npz archive; ``None`` where it has none or is damaged."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open(MEMBER) as file:
            shape, _, dtype = _header(file)
    except (KeyError, *DAMAGED):
        return None
    return shape, dtype


def array_batches(path: Path) -> Iterator[NDArray[Any]]:
    """Yield ``arr_0`` in batches of rows, in its own type, each (b, H, W, 3).

    Raises:
        UserError: the array is not of images of three channels, or is cut short.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open(MEMBER) as file:
            shape, fortran, dtype = _header(file)
            channels_first = len(shape) == 4 and shape[1] == 3 and shape[3] != 3
            if len(shape) != 4 or fortran or dtype.kind not in "fiu" or 3 not in (shape[1], shape[3]):
                raise UserError(
                    f"arr_0 of {path} is {dtype} of shape {shape}{' in Fortran order' if fortran else ''}.",
                    why="Images are numbers of shape (n, height, width, 3).",
                )
            bytes_each = int(np.prod(shape[1:])) * dtype.itemsize
            rows = max(1, _BLOCK_BYTES // bytes_each)
            for start in range(0, shape[0], rows):
                count = min(rows, shape[0] - start)
                data = file.read(count * bytes_each)
                if len(data) < count * bytes_each:
                    raise UserError(f"arr_0 of {path} is cut short.", hint="Download or write it again.")
                batch = np.frombuffer(data, dtype=dtype).reshape(count, *shape[1:])
                yield batch.transpose(0, 2, 3, 1) if channels_first else batch
    except DAMAGED as error:
        raise UserError(f"Cannot read {path}.", why=str(error), hint="Download or copy it again.") from error


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    return tuple(shape), fortran, dtype
