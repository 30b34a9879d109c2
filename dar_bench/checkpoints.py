"""Reading foreign checkpoint files safely, and checking tensors against a model's layout."""

from __future__ import annotations

import argparse
import collections
import pathlib
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dar_bench.errors import UserError
from dar_bench.plugins import missing_module

if TYPE_CHECKING:
    from torch import Tensor

# Plain containers that training scripts save beside their tensors; restoring them runs no foreign code.
_HARMLESS = (argparse.Namespace, collections.defaultdict, pathlib.PosixPath, dict, list, set, tuple)
_NAMED = 4


def read_checkpoint(path: Path, *, trust: bool = False) -> Any:
    """Return what a ``.safetensors`` file or a torch pickle holds, with tensors on the CPU.

    Args:
        path: the file; its contents decide how it is read, not its suffix.
        trust: allow a pickle that runs code of its own when it is loaded.

    Raises:
        UserError: no such file, not a checkpoint, truncated, or a pickle that only loads unsafely.
    """
    if not path.is_file():
        raise UserError(f"There is no file '{path}'.", hint="Give the path of a .safetensors or .pt file.")
    with path.open("rb") as stream:
        start = stream.read(64)
    if zipfile.is_zipfile(path):
        return _read_pickle(path, trust=trust, mapped=True)
    if start.startswith(b"PK\x03\x04"):
        raise _damaged(path, "It begins like a torch checkpoint, but its end is missing.")
    if start.startswith(b"\x80"):
        return _read_pickle(path, trust=trust, mapped=False)
    if len(start) > 8 and start[8:9] == b"{":
        return _read_safetensors(path)
    raise _not_a_checkpoint(path, start)


def check_layout(name: str, state: Mapping[str, Tensor], layout: Mapping[str, tuple[int, ...]]) -> None:
    """Check that ``state`` has exactly the tensors of ``layout``, each of its shape.

    Raises:
        UserError: keys are missing or unexpected or shapes differ; the first few are named, with the counts.
    """
    missing = [key for key in layout if key not in state]
    unexpected = [key for key in state if key not in layout]
    reshaped = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(shape)}"
        for key, shape in layout.items()
        if key in state and tuple(state[key].shape) != tuple(shape)
    ]
    problems = [
        f"{len(found)} {what} ({_first(found)})"
        for what, found in (("missing", missing), ("unexpected", unexpected), ("of another shape", reshaped))
        if found
    ]
    if problems:
        raise UserError(
            f"The file does not hold the weights of '{name}'.",
            why=f"Of {len(layout)} tensors: {'; '.join(problems)}.",
            hint="Check that the file belongs to this model.",
        )


def _first(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise _damaged(path, f"The safetensors reader says: {error}.") from error


def _read_pickle(path: Path, *, trust: bool, mapped: bool) -> Any:
    import torch

    try:
        with torch.serialization.safe_globals(list(_HARMLESS)):
            return torch.load(path, map_location="cpu", weights_only=not trust, mmap=mapped)
    except ModuleNotFoundError as error:
        raise missing_module(f"Cannot load '{path}'.", error) from error
    except pickle.UnpicklingError as error:
        unsafe = _unsafe_globals(path, error)
        if unsafe:
            raise UserError(
                f"'{path}' cannot be loaded safely.",
                why=f"Loading it would run code of its own: {_first(unsafe)}.",
                hint="If you trust its source, import it with --trust.",
            ) from error
        raise _damaged(path, _first_line(error)) from error
    except (
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
        KeyError,
        AttributeError,
        zipfile.BadZipFile,
    ) as error:
        raise _damaged(path, _first_line(error)) from error


def _unsafe_globals(path: Path, error: pickle.UnpicklingError) -> list[str]:
    """Return the names that a pickle wants to import beyond the allow-list."""
    import torch

    try:
        with torch.serialization.safe_globals(list(_HARMLESS)):
            return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except (ValueError, RuntimeError, pickle.UnpicklingError):  # the old format cannot be looked through
        return ["objects of unknown classes"] if "Unsupported" in str(error) else []


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _damaged(path: Path, why: str) -> UserError:
    return UserError(
        f"'{path}' is truncated or damaged ({path.stat().st_size:,} bytes).",
        why=why,
        hint="Download or copy it again.",
    )


def _not_a_checkpoint(path: Path, start: bytes) -> UserError:
    if not start:
        why = "It is empty."
    elif start.lstrip()[:1] == b"<":
        why = "It is a web page; the download link led to a page instead of the file."
    elif start.startswith(b"version https://git-lfs"):
        why = "It is a Git LFS pointer; the file itself was not downloaded."
    else:
        why = f"It is neither a safetensors file nor a torch checkpoint (first bytes {start[:8]!r})."
    return UserError(
        f"'{path}' is not a checkpoint.", why=why, hint="Give the published .pt or .safetensors file."
    )
