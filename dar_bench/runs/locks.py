"""Locks that a process holds while it makes something, and that end with it however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dar_bench.files import writing


class Busy(Exception):
    """Another process holds the lock."""


@contextmanager
def lock(path: Path, *, wait: bool) -> Iterator[None]:
    """Hold the lock of ``path`` (a file of no content) while the block runs.

    The system drops it when the process ends, so that no stale lock can remain after a kill or a power cut. The
    file is removed by whoever held it last.

    Args:
        path: in a folder that is created where it is missing.
        wait: for another process to be done with it; otherwise:

    Raises:
        Busy: another process has it.
    """
    descriptor = _take(path, wait)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _take(path: Path, wait: bool) -> int:
    while True:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            except FileNotFoundError:
                continue  # the folder was deleted in between
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if _same_file(path, descriptor):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            raise Busy from None
        except BaseException:
            os.close(descriptor)
            raise
        # The holder before us removed the file: this lock guards nothing that others can see.
        os.close(descriptor)


def _same_file(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
