"""Making the next items while the last ones are used: decoding beside extraction."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

DEPTH = 4
"""Items that wait at most: bounds the memory."""


def prefetched(items: Iterable[T], depth: int = DEPTH) -> Generator[T, None, None]:
    """Yield ``items`` in order, made in a thread of their own up to ``depth`` ahead of their use.

    Decoding and resizing release the interpreter for most of their time, so they fit beside a network. An
    error in ``items`` is raised where the item would have come; when the consumer stops early (an error,
    Ctrl-C), the thread ends with the item that it is making, for which the consumer waits some seconds at most.
    """
    maker = _Maker(items, depth)
    try:
        yield from maker.items()
    finally:
        maker.stop()


_PATIENCE_S = 5.0
"""How long a consumer that stops waits for the item that is being made."""


class _End:
    def __init__(self, error: BaseException | None = None):
        self.error = error


class _Maker(Generic[T]):
    def __init__(self, items: Iterable[T], depth: int):
        self._queue: queue.Queue[T | _End] = queue.Queue(depth)
        self._stopped = threading.Event()
        # A daemon: an item that hangs (a network disk) must not keep an interrupted process alive.
        self._thread = threading.Thread(target=self._make, args=(items,), name="prefetch", daemon=True)
        self._thread.start()

    def items(self) -> Iterator[T]:
        while True:
            item = self._queue.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item

    def stop(self) -> None:
        self._stopped.set()
        self._drain()
        # An item that hangs must not keep the consumer, who is leaving; the thread is a daemon and ends with it.
        self._thread.join(_PATIENCE_S)

    def _make(self, items: Iterable[T]) -> None:
        try:
            for item in items:
                self._put(item)
                if self._stopped.is_set():
                    return
            self._put(_End())
        except BaseException as error:  # handed to the consumer, whatever it is
            self._put(_End(error))

    def _put(self, item: T | _End) -> None:
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def _drain(self) -> None:
        while True:
            try:
                self._queue.get_nowait()
            except queue.Empty:
                return
