"""What a training writes down: JSON lines, image grids, and TensorBoard where it is installed."""

from __future__ import annotations

import json
import math
import sys
import time
import types
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from dar_bench.console import note
from dar_bench.files import atomic_path, write_text, writing
from dar_bench.training.distributed import mean_over_processes

_LATE = "late:"


class MetricWindow:
    """Means of the scalars since the last log entry; it can be stored, so that resuming loses nothing."""

    def __init__(self, stored: Mapping[str, float] | None = None):
        stored = dict(stored or {})
        self.count = int(stored.pop("count", 0))
        # Steps of the window before a scalar that came into being in the middle of it.
        self._late = {
            name.removeprefix(_LATE): int(stored.pop(name)) for name in list(stored) if name.startswith(_LATE)
        }
        self._sums: dict[str, Tensor | float] = dict(stored)

    def add(self, scalars: Mapping[str, Tensor]) -> None:
        """Count one step; the values stay on their device until somebody asks."""
        for name, value in scalars.items():
            if name not in self._sums and self.count:
                self._late[name] = self.count
            self._sums[name] = self._sums.get(name, 0.0) + value.detach().float()
        self.count += 1

    def sums(self) -> dict[str, float]:
        """Return the sums so far, averaged over processes, and ``count``; all processes must call it."""
        if not self._sums:
            return {"count": self.count}
        names = sorted(self._sums)
        values = [torch.as_tensor(self._sums[name], dtype=torch.float32).cpu() for name in names]
        device = next((value.device for value in self._sums.values() if isinstance(value, Tensor)), None)
        together = mean_over_processes(torch.stack(values).to(device or "cpu")).tolist()
        late = {_LATE + name: count for name, count in self._late.items()}
        return {**dict(zip(names, together, strict=True)), **late, "count": self.count}

    def means(self) -> dict[str, float]:
        """Return the means over the window; all processes must call it."""
        sums = self.sums()
        count = int(sums.pop("count"))
        return {
            name: value / max(count - self._late.get(name, 0), 1)
            for name, value in sums.items()
            if not name.startswith(_LATE)
        }

    def clear(self) -> None:
        """Start a new window."""
        self._sums, self._late, self.count = {}, {}, 0


class RunLog:
    """Writes ``metrics.jsonl``, ``tensorboard/`` and ``images/`` of a run folder; for the main process only.

    Every line of ``metrics.jsonl`` is an object with ``kind`` (``train`` or ``eval``), ``step`` (updates
    done), ``time`` (seconds since 1970) and the numbers. Numbers that are not finite are written as ``null``.
    """

    def __init__(self, folder: Path, *, step: int):
        self._folder = folder
        self._path = folder / "metrics.jsonl"
        cut_back(self._path, step)
        with writing(self._path):
            self._file: IO[str] = self._path.open("a", encoding="utf-8")
        self._board = _tensorboard(folder / "tensorboard", step)

    def write(self, kind: str, step: int, numbers: Mapping[str, float]) -> None:
        """Append one entry and flush it."""
        finite = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
        with writing(self._path):
            self._file.write(
                json.dumps({"kind": kind, "step": step, "time": round(time.time(), 3), **finite}) + "\n"
            )
            self._file.flush()
        if self._board is not None:
            for name, value in numbers.items():
                self._board.add_scalar(f"{kind}/{name}", value, step)

    def images(self, step: int, images: Mapping[str, Tensor]) -> None:
        """Write uint8 (B, 3, H, W) images as one PNG grid per name."""
        for name, batch in images.items():
            grid = image_grid(batch.cpu())
            _save_png(self._folder / "images" / f"{name}-{step:08d}.png", grid)
            if self._board is not None:
                self._board.add_image(name, grid, step)

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        if self._board is not None:
            self._board.close()


def cut_back(path: Path, step: int) -> None:
    """Drop the entries after ``step`` and a last line that a killed process left unfinished."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        if entry["step"] <= step:
            kept.append(line + "\n")
    write_text(path, "".join(kept))


def image_grid(images: Tensor, *, gap: int = 2) -> Tensor:
    """Lay uint8 (B, 3, H, W) images out in a nearly square grid, uint8 (3, H', W'), white between them."""
    count, channels, height, width = images.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    shape = (channels, rows * (height + gap) - gap, columns * (width + gap) - gap)
    grid = torch.full(shape, 255, dtype=torch.uint8)
    for number in range(count):
        row, column = divmod(number, columns)
        top, left = row * (height + gap), column * (width + gap)
        grid[:, top : top + height, left : left + width] = images[number]
    return grid


def say_progress(step: int, steps: int, numbers: Mapping[str, float]) -> None:
    """Print one line of the most important numbers."""
    shown = [
        f"loss {numbers['loss']:.4f}",
        f"lr {numbers['lr']:.2e}",
        f"{numbers['images_per_second']:.1f} images/s",
    ]
    note(f"step {step}/{steps}  " + "  ".join(shown))


def _save_png(path: Path, grid: Tensor) -> None:
    from PIL import Image

    with atomic_path(path) as temporary:
        Image.fromarray(grid.permute(1, 2, 0).contiguous().numpy()).save(temporary, format="PNG")


def _tensorboard(folder: Path, step: int) -> Any:
    """Return a TensorBoard writer that hides entries after ``step``; ``None`` where it is not installed."""
    try:
        import tensorboard.compat

        # TensorBoard loads TensorFlow where it finds it, unless a module of this name is there: seconds of start-up, a
        # gigabyte of memory and now and then a crash beside torch, for nothing that is used here.
        name = f"{tensorboard.compat.__name__}.notf"
        sys.modules.setdefault(name, types.ModuleType(name))
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step + 1 if step else None)
