"""Reading foreign checkpoint files safely, and checking tensors against a model's layout."""

from __future__ import annotations

import argparse
import collections
import pathlib
import pickle
import warnings
import zipfile
from collections.abc import Mapping, Sequence
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
        if _is_torchscript(path):
            return _read_torchscript(path)
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


def state_dict_of(checkpoint: Mapping[str, Any], system: str, *keys: str) -> Mapping[str, Tensor]:
    """Return the state dict inside a checkpoint: under the first of ``keys`` present, or the whole.

    Args:
        system: what the checkpoint should be of, for messages (``D-AR``).

    Raises:
        UserError: the object holds no tensors.
    """
    from torch import Tensor

    inner: Any = next((checkpoint[key] for key in keys if checkpoint.get(key)), checkpoint)
    if not isinstance(inner, Mapping) or not any(isinstance(value, Tensor) for value in inner.values()):
        raise UserError(
            f"This file is no {system} checkpoint: it holds no named tensors.",
            why=f"Its top level has {', '.join(sorted(map(str, checkpoint))[:6]) or 'nothing'}.",
            hint="Give the published .pt file, or a .safetensors file of the same names.",
        )
    return inner


def refuse_unknown(keys: Sequence[str], what: str) -> None:
    """Stop at keys that no published file of this kind has.

    Args:
        what: ``D-AR tokenizer`` and the like.

    Raises:
        UserError: ``keys`` is not empty.
    """
    if keys:
        raise UserError(
            f"This checkpoint is not a {what}: {len(keys)} unknown keys, such as {', '.join(keys[:3])}.",
            hint="Check that the file belongs to the model you named.",
        )


def convert_llama(state: Mapping[str, Tensor], what: str) -> dict[str, Tensor]:
    """Return the tensors of a published Llama-type image model for ``dar_bench.nn.llama``: the names are the same.

    ``torch.compile``'s prefix goes, and so does ``freqs_cis``, a stale copy of the rotary table in old files.

    Raises:
        UserError: keys that such a model does not have.
    """
    converted = {
        key.removeprefix("_orig_mod."): value.contiguous()
        for key, value in state.items()
        if key.removeprefix("_orig_mod.") != "freqs_cis"
    }
    known = ("cls_embedding.", "tok_embeddings.", "layers.", "norm.", "output.")
    refuse_unknown([key for key in converted if not key.startswith(known)], what)
    return converted


def _first(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise _damaged(path, f"The safetensors reader says: {error}.") from error


def _is_torchscript(path: Path) -> bool:
    """Tell whether a torch archive is a compiled program with its tensors (CLIP is published so)."""
    with zipfile.ZipFile(path) as archive:
        return any(name.split("/")[1:2] == ["constants.pkl"] for name in archive.namelist())


def _read_torchscript(path: Path) -> dict[str, Tensor]:
    """Return a compiled program's tensors. Its code is never run, and its reader knows no other kind of object."""
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # the format is old, and so are the files
            program = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise _damaged(path, _first_line(error)) from error
    return dict(program.state_dict())


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
