"""The most memory that a piece of work held: on a GPU what was allocated there, on a CPU what the process gained."""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class PeakMemory:
    """Context manager; ``bytes`` has the peak afterwards, or ``None`` where the system does not tell it.

    On a GPU it is the most that PyTorch had allocated, the model included. On a CPU it is the most resident memory
    above that at the start. Linux tells the peak since it was last reset; elsewhere only the peak of the process's
    whole life is known, which says something if the work raised it.

    Args:
        device: torch device string that the work runs on.
    """

    def __init__(self, device: str):
        self._name = device
        self._before = 0
        self._reset = False
        self.bytes: int | None = None

    def __enter__(self) -> PeakMemory:
        device = self._gpu()
        if device is not None:
            import torch

            torch.cuda.reset_peak_memory_stats(device)
            return self
        self._reset = _reset_linux_peak()
        self._before = _linux_status("VmRSS") if self._reset else _lifetime_peak()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        device = self._gpu()
        if device is not None:
            import torch

            self.bytes = int(torch.cuda.max_memory_allocated(device))
        elif self._reset:
            self.bytes = max(0, _linux_status("VmHWM") - self._before)
        else:
            self.bytes = (_lifetime_peak() - self._before) or None

    def _gpu(self) -> torch.device | None:
        import torch

        device = torch.device(self._name)
        return device if device.type == "cuda" else None


def _reset_linux_peak() -> bool:
    """Let Linux count the peak from now on (``clear_refs``, proc(5)); return whether it does."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _linux_status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return 0


def _lifetime_peak() -> int:
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
