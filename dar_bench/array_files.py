"""Files of arrays that tell by themselves whether they are whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from dar_bench.files import write_bytes
from dar_bench.hashing import sha256_bytes

Arrays = Mapping[str, NDArray[Any]]

_HASH = "sha256"


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Write arrays with their hash, completely or not at all; equal arrays make equal files.

    Raises:
        UserError: the disk is full, or the folder cannot be written to.
    """
    whole = {name: np.ascontiguousarray(values) for name, values in sorted(arrays.items())}
    write_bytes(path, save(whole, metadata={_HASH: _hash(whole)}))


def read_arrays(path: Path) -> dict[str, NDArray[Any]] | None:
    """Return a file's arrays, or ``None`` where there is none or it is not as it was written."""
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
            expected = (file.metadata() or {}).get(_HASH)
    except (SafetensorError, OSError, ValueError):
        return None
    return arrays if expected == _hash(arrays) else None


def _hash(arrays: Arrays) -> str:
    parts = (
        f"{name}:{values.dtype}:{values.shape}:{sha256_bytes(values.tobytes())}"
        for name, values in sorted(arrays.items())
    )
    return sha256_bytes("\n".join(parts).encode())
