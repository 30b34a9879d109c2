"""Writing files so that a reader never sees half of one.

Everything is written under a temporary name in the target's own folder and moved into place when it is
complete. A process that dies in between leaves at most a hidden ``.tmp-`` file, never a damaged result.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dar_bench.errors import UserError

_FULL = (errno.ENOSPC, errno.EDQUOT)
# Some writers (torch.save) report a full disk without its errno; below this much free space it is believed.
_ALMOST_NOTHING = 1 << 20
# What the user lets new files be; read while the process has one thread, for there is no way to only look.
_UMASK = os.umask(0)
os.umask(_UMASK)


def is_disk_full(error: BaseException, folder: Path) -> bool:
    """Tell whether ``error``, raised while writing into ``folder``, means that the disk is full."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    if "No space left on device" in str(error):
        return True
    if isinstance(error, RuntimeError) and folder.is_dir():
        return shutil.disk_usage(folder).free < _ALMOST_NOTHING
    return False


def disk_full(path: Path) -> UserError:
    """Build the error for a disk that filled up while ``path`` was written."""
    return UserError(
        f"No space left while writing '{path}'.",
        why=f"The disk (or your quota on it) is full; '{path.name}' was not put in place.",
        hint="Free some space or choose another folder, then run the same command again.",
    )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failure to write ``path`` that the user can mend into a ``UserError``.

    Other errors, and errors about other files, pass unchanged.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if is_disk_full(error, path.parent):
            raise disk_full(path) from error
        if isinstance(error, OSError) and error.filename is not None:
            place = Path(os.fsdecode(error.filename))
            if place == path or path.is_relative_to(place) or place.parent == path.parent:
                raise UserError(
                    f"Cannot write '{path}'.",
                    why=f"{error.strerror or error}: '{place}'.",
                    hint="Choose a folder that you may write to.",
                ) from error
        raise


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that takes its place when the block ends without an error.

    The temporary name keeps the suffix, for writers that look at it. Parent folders are created. The block
    may write a file, which replaces an older one, or a folder, where none of that name exists.

    Args:
        path: where the finished file or folder goes.

    Yields:
        A path that does not exist yet.

    Raises:
        UserError: the disk is full or the folder cannot be written to.
    """
    target = Path(path).absolute()
    temporary = target.with_name(f".tmp-{secrets.token_hex(4)}-{target.name}")
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            if temporary.is_file():
                temporary.chmod(0o666 & ~_UMASK)  # safetensors writes files that nobody else may read
                _flush_to_disk(temporary)
            os.replace(temporary, target)
        except RuntimeError as error:  # judged while the half-written file still fills the disk
            if is_disk_full(error, target.parent):
                raise disk_full(target) from error
            raise
        finally:
            _remove(temporary)


def require_writable(folder: Path) -> None:
    """Refuse a folder that results could not be put into, before the work that makes them; creates nothing.

    Raises:
        UserError: it, or the nearest folder above it that exists, is no folder or may not be written to.
    """
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise UserError(
            f"Cannot write into '{folder}'.", why=f"'{place}' is no folder.", hint="Choose another."
        )
    if not os.access(place, os.W_OK | os.X_OK):
        raise UserError(
            f"Cannot write into '{folder}'.",
            why=f"'{place}' may not be written to, or its file system is read-only.",
            hint="Choose a folder that you may write to.",
        )


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write ``data`` to ``path``, completely or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` to ``path`` in UTF-8 with its line ends unchanged, completely or not at all."""
    write_bytes(path, text.encode())


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` to ``path`` as indented JSON, completely or not at all.

    Raises:
        ValueError: ``value`` holds NaN or infinity, which JSON does not know.
    """
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def folder_size(folder: Path) -> int:
    """Return the bytes of a folder's files; what another process removes meanwhile counts nothing."""
    total = 0
    with suppress(OSError):
        for file in folder.iterdir():
            with suppress(OSError):
                total += file.stat().st_size
    return total


def _flush_to_disk(path: Path) -> None:
    """Make the contents durable before the name points at them."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
