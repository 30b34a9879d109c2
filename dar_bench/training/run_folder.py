"""The folder of one training run: who may use it, what it was started with, where it can go on."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import sys
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import IO, Any

from dar_bench import __version__
from dar_bench.console import note
from dar_bench.errors import UserError
from dar_bench.files import write_json, write_text, writing
from dar_bench.training import checkpoint
from dar_bench.training.recipe import differing_keys, dump_toml, to_dict

FREE_ON_RESUME = frozenset(
    f"train.{key}"
    for key in (
        "steps",
        "log_every",
        "eval_every",
        "image_every",
        "checkpoint_every",
        "keep_checkpoints",
        "workers",
        "threads",
        "device",
    )
)
"""Recipe keys that may differ from the checkpoint's: none of them changes what a step computes."""


class RunFolder:
    """Opens a run folder for the main process and holds its lock until :meth:`close`.

    The lock is a POSIX record lock: the system drops it when its process ends, however it ends, so that no
        stale
    lock can remain. The file's text says who holds it.

    Raises:
        UserError: another process uses the folder; it holds a run and ``resume`` is false; there is nothing
            to resume; or the recipe differs in keys that may not change.
    """

    def __init__(self, folder: Path, recipe: Any, *, resume: bool, free: frozenset[str] = frozenset()):
        self.folder = folder
        self.checkpoints = folder / "checkpoints"
        self.recipe = to_dict(recipe)
        require_state(folder, resume=resume)  # before the lock, which makes the folder
        self._lock = _take_lock(folder)
        try:
            self.resumed = self._decide(resume, free)
            checkpoint.remove_leftovers(self.checkpoints)
            write_text(folder / "recipe.toml", dump_toml(recipe))
        except BaseException:
            self.close()
            raise

    @property
    def step(self) -> int:
        """Updates done in the checkpoint to go on from."""
        return self.resumed.step if self.resumed else 0

    def start_session(self, facts: Mapping[str, Any]) -> None:
        """Add this process's session to ``run.json``."""
        path = self.folder / "run.json"
        run = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"sessions": []}
        session = {
            "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
            "host": platform.node(),
            "versions": versions(),
            "started": _now(),
            "finished": None,
            "first_step": self.step,
            "last_step": None,
            "outcome": "running",
        }
        self._run = {**run, **facts, "recipe": self.recipe, "sessions": [*run["sessions"], session]}
        write_json(path, self._run)

    def end_session(self, *, step: int, outcome: str) -> None:
        """Note in ``run.json`` how far the session came and why it ended; the first reason counts."""
        session = self._run["sessions"][-1]
        if session["finished"] is not None:
            return
        session.update(finished=_now(), last_step=step, outcome=outcome)
        write_json(self.folder / "run.json", self._run)

    def close(self) -> None:
        """Give the lock back."""
        self._lock.close()

    def _decide(self, resume: bool, free: frozenset[str]) -> checkpoint.Checkpoint | None:
        require_state(self.folder, resume=resume)
        if not resume:
            return None
        found = checkpoint.latest(self.checkpoints)
        if found is None:
            note(f"The run in {self.folder} has no checkpoint yet; it starts from the beginning.")
            return None
        differing = [
            key for key in differing_keys(found.recipe, self.recipe) if key not in FREE_ON_RESUME | free
        ]
        if differing:
            raise UserError(
                f"The recipe differs from that of the run in {self.folder}: {', '.join(differing)}.",
                why="A resumed run must go on as it began.",
                hint=f"Use {self.folder / 'recipe.toml'}, or start a new run in another folder.",
            )
        if found.step > self.recipe["train"]["steps"]:
            raise UserError(
                f"The run in {self.folder} has already done {found.step} steps; "
                f"the recipe asks for {self.recipe['train']['steps']}.",
                hint="Set train.steps higher to train on.",
            )
        checkpoint.set_aside(self.checkpoints, after=found.step)
        return found


def require_state(folder: Path, *, resume: bool) -> None:
    """Refuse a folder that a run cannot start or go on in; writes nothing, so it may come before costly work.

    Raises:
        UserError: the folder holds a run and ``resume`` is false, or it holds none and ``resume`` is true.
    """
    held = [name for name in ("run.json", "metrics.jsonl", "checkpoints") if (folder / name).exists()]
    if held and not resume:
        raise UserError(
            f"{folder} already holds a training run ({', '.join(held)}).",
            hint="Add --resume to continue it, or choose another folder.",
        )
    if resume and not held:
        raise UserError(f"There is no training run to resume in {folder}.", hint="Start it without --resume.")


def versions() -> dict[str, str]:
    """Return the versions of the software that shapes the numbers."""
    found = {"dar-bench": __version__, "python": platform.python_version()}
    for name in ("torch", "numpy", "accelerate"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _take_lock(folder: Path) -> IO[str]:
    path = folder / "lock"
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
        handle = path.open("a+", encoding="utf-8")
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.seek(0)
        holder = handle.read().strip() or "another process"
        handle.close()
        raise UserError(
            f"{folder} is in use by {holder}.", hint="Wait until it has ended, or choose another folder."
        ) from error
    handle.truncate(0)
    handle.write(f"process {os.getpid()} on {platform.node()}, since {_now()}\n")
    handle.flush()
    return handle


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
