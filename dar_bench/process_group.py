"""How a process that joined others through torch.distributed ends."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from typing import NoReturn

_joined = False


def joined() -> None:
    """Note that this process is a member of a group now, which it leaves at exit."""
    global _joined
    if not _joined:
        _joined = True
        atexit.register(_leave)


def finish(status: int) -> NoReturn:
    """End this process with an exit status, after everything that was registered to run at exit.

    Call it where nothing of the work is held any more, outside of ``except`` too: a traceback holds what was there.

    A member of a group skips the interpreter's own teardown. The group's background threads outlive it where a
    wrapped module has leaked its last reference; one that lets go of a tensor then, for which it needs the
    interpreter, aborts a process whose work is done and saved.
    """
    if not _joined:
        sys.exit(status)
    gc.collect()  # data loaders end their workers when they go, and exit handlers would wait for those
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _leave() -> None:
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
        gc.collect()  # the group's threads end with the last reference to it
