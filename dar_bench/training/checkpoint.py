"""Checkpoints: everything that a training needs to go on exactly where it was.

    RUN/checkpoints/step-00001000/state.pt      weights, average and optimizer (torch, read with weights_only)
                                 /state.json    step, recipe, versions, the open logging window, hash of
                                 state.pt

A checkpoint is written under a temporary name and renamed when complete. No random state is stored: every
step seeds the generators from (seed, step, process), see :mod:`dar_bench.training.seeding`.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from dar_bench.console import note
from dar_bench.errors import UserError
from dar_bench.files import atomic_path, write_json
from dar_bench.hashing import sha256_file

_FORMAT = 1
_NAME = re.compile(r"step-(\d{8,})")


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The small part of a checkpoint, from ``state.json``.

    Attributes:
        step: updates done.
        recipe: the recipe as tables.
        versions: of the software that wrote it.
        window: sums of the logging window that was open, see ``MetricWindow``.
        folder: where it lies.
    """

    step: int
    recipe: Mapping[str, Any]
    versions: Mapping[str, str]
    window: Mapping[str, float] = field(default_factory=dict)
    folder: Path

    def tensors(self) -> dict[str, Any]:
        """Return ``{"module", "ema", "optimizer"}`` state dicts on the CPU."""
        state: dict[str, Any] = torch.load(self.folder / "state.pt", map_location="cpu", weights_only=True)
        return state


def save(
    root: Path,
    tensors: Mapping[str, Any],
    *,
    step: int,
    recipe: Mapping[str, Any],
    versions: Mapping[str, str],
    window: Mapping[str, float],
    keep: int,
) -> Path:
    """Write one checkpoint under ``root`` and remove the oldest beyond ``keep`` (0 keeps all).

    Raises:
        UserError: the disk is full or ``root`` cannot be written to; the older checkpoints are untouched.
    """
    target = folder_of(root, step)
    with atomic_path(target) as temporary:
        temporary.mkdir()
        torch.save(dict(tensors), temporary / "state.pt")
        write_json(
            temporary / "state.json",
            {
                "format": _FORMAT,
                "step": step,
                "sha256": sha256_file(temporary / "state.pt"),
                "versions": dict(versions),
                "window": dict(window),
                "recipe": dict(recipe),
            },
        )
    if keep:
        for old in steps(root)[:-keep]:
            _remove(folder_of(root, old))
    return target


def latest(root: Path) -> Checkpoint | None:
    """Return the newest sound checkpoint under ``root``; a damaged one is reported and passed over.

    Raises:
        UserError: where there are checkpoints but all of them are damaged.
    """
    found = steps(root)
    for step in reversed(found):
        folder = folder_of(root, step)
        try:
            return _read(folder)
        except _Damaged as damage:
            note(f"Checkpoint {folder} is damaged ({damage}); looking for the one before.")
    if found:
        raise UserError(
            f"All {len(found)} checkpoints in {root} are damaged.",
            hint="Start again in another folder, or restore a checkpoint from a backup.",
        )
    return None


def set_aside(root: Path, *, after: int) -> None:
    """Rename the (damaged) checkpoints after a step to ``damaged-...``, so that they no longer count."""
    for step in steps(root):
        if step > after:
            folder = folder_of(root, step)
            target = folder.with_name(f"damaged-{folder.name}")
            shutil.rmtree(target, ignore_errors=True)
            folder.rename(target)


def steps(root: Path) -> list[int]:
    """Return the steps of all complete checkpoints, in order."""
    return sorted(step for step, _ in _folders(root))


def folder_of(root: Path, step: int) -> Path:
    """Return where the checkpoint of ``step`` lies."""
    return root / f"step-{step:08d}"


def remove_leftovers(root: Path) -> None:
    """Delete what a killed process left under temporary names; the caller holds the run's lock."""
    if root.is_dir():
        for path in root.glob(".tmp-*"):
            shutil.rmtree(path, ignore_errors=True)


class _Damaged(Exception):
    pass


def _read(folder: Path) -> Checkpoint:
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        if state["format"] != _FORMAT:
            raise UserError(
                f"Checkpoint {folder} has format {state['format']}.",
                why=f"This version of dar-bench reads format {_FORMAT}.",
            )
        if sha256_file(folder / "state.pt") != state["sha256"]:
            raise _Damaged("state.pt does not match its hash")
        return Checkpoint(
            step=state["step"],
            recipe=state["recipe"],
            versions=state["versions"],
            window=state["window"],
            folder=folder,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _Damaged(f"{type(error).__name__}: {error}") from error


def _folders(root: Path) -> Iterator[tuple[int, Path]]:
    if root.is_dir():
        for path in root.iterdir():
            match = _NAME.fullmatch(path.name)
            if match and path.is_dir():
                yield int(match[1]), path


def _remove(folder: Path) -> None:
    """Delete a checkpoint so that a kill in between never leaves half of one under its real name."""
    hidden = folder.with_name(f".tmp-{folder.name}")
    folder.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)
