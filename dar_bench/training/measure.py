"""How fast a training is, on what, and how much memory it takes."""

from __future__ import annotations

import contextlib
import resource
import sys
import time
from collections.abc import Iterator

import torch


class Clock:
    """Images per second of training alone; evaluation and writing do not count."""

    def __init__(self) -> None:
        self._images, self._seconds, self._since = 0, 0.0, time.monotonic()

    def start(self) -> None:
        """Begin to measure."""
        self._since = time.monotonic()

    def count(self, images: int) -> None:
        """Add images that were trained on."""
        self._images += images

    def rate(self) -> float:
        """Return the rate since the last call."""
        now = time.monotonic()
        seconds = self._seconds + now - self._since
        rate = self._images / max(seconds, 1e-9)
        self._images, self._seconds, self._since = 0, 0.0, now
        return rate

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Do not count the time inside the block."""
        self._seconds += time.monotonic() - self._since
        yield
        self._since = time.monotonic()


def device_name(device: torch.device) -> str:
    """Return what a record calls the device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def memory_gib(device: torch.device) -> float:
    """Return the peak so far: allocated on a GPU, resident on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    # Linux counts kibibytes, macOS bytes.
    unit = 1 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
