"""Ctrl-C and SIGTERM as a polite request to stop after the present step."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

PATIENCE_S = 3.0


class StopRequest:
    """Context manager: inside it, the first SIGINT or SIGTERM sets :attr:`requested`.

    A signal that comes more than ``PATIENCE_S`` seconds later acts as usual, at once. Until then further
    ones are
    ignored: a launcher passes on the Ctrl-C that its processes got from the terminal already. Outside the
    main thread nothing is caught.
    """

    def __init__(self) -> None:
        self.requested = False
        self._first = 0.0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if not self.requested:
            self.requested = True
            self._first = time.monotonic()
        elif time.monotonic() - self._first > PATIENCE_S:
            self._restore()
            signal.raise_signal(number)

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}
