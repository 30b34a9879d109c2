"""Processes that read data for another one."""

from __future__ import annotations

import signal


def leave_signals_to_parent(worker: int) -> None:
    """Ignore Ctrl-C and SIGTERM, which reach the whole process group: the parent alone decides what they mean.

    For ``worker_init_fn`` of a torch ``DataLoader``; ``worker`` is the number that it passes.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
