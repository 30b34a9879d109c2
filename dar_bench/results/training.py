"""From a training's run folder to its record: recipe, seed, curves, what it ran on and how long it took."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from dar_bench.errors import UserError
from dar_bench.hashing import sha256_file
from dar_bench.results.environment import current_environment
from dar_bench.results.portable import portable_command
from dar_bench.results.record import Cost, Curve, Model, Record
from dar_bench.training.curves import read_metrics, summarize


def training_record(run: Path, name: str, *, points: int = 40) -> Record:
    """Return the record of a finished training.

    Args:
        run: its folder.
        name: what the trained model is called.
        points: values kept of every curve.

    Raises:
        UserError: the folder holds no complete training.
    """
    description = _description(run)
    sessions = description["sessions"]
    recipe: dict[str, Any] = description["recipe"]
    steps, batch = recipe["train"]["steps"], recipe["train"]["batch_size"]
    if sessions[-1]["outcome"] != "complete":
        raise UserError(
            f"The training in {run} is not complete: its last session is '{sessions[-1]['outcome']}'.",
            hint="Finish it with --resume first.",
        )
    seconds = sum(_seconds(session) for session in sessions)
    environment = current_environment(description["device"], recipe["train"]["precision"])
    return Record(
        kind="training",
        model=Model(
            name=name,
            weights_sha256=sha256_file(run / "export" / "model.safetensors"),
            parameters=description["parameters"],
        ),
        options=recipe,
        seeds={"run": recipe["train"]["seed"]},
        samples=steps * batch,
        environment=environment.model_copy(
            update={"packages": sessions[-1]["versions"], "threads": recipe["train"]["threads"] or None}
        ),
        cost=Cost(seconds=seconds, images_per_second=steps * batch / seconds, batch_size=batch),
        curves=_curves(run, points),
        command=portable_command(sessions[0]["command"]),
        note=f"{len(sessions)} session{'s' if len(sessions) > 1 else ''}, {description['processes']} process(es).",
    )


def _description(run: Path) -> dict[str, Any]:
    try:
        description: dict[str, Any] = json.loads((run / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{run} is no training's run folder.",
            why=f"run.json cannot be read: {error}",
            hint="Give the folder that --out named.",
        ) from error
    return description


def _seconds(session: dict[str, Any]) -> float:
    started, finished = session["started"], session["finished"]
    if finished is None:  # killed: its time is not known
        return 0.0
    form = "%Y-%m-%dT%H:%M:%S%z"
    return (datetime.strptime(finished, form) - datetime.strptime(started, form)).total_seconds()


def _curves(run: Path, points: int) -> list[Curve]:
    """Return every logged quantity as a thinned curve named ``train/loss``, ``eval/psnr`` and so on."""
    curves = []
    for part, columns in summarize(read_metrics(run / "metrics.jsonl"), points=points).items():
        steps = [int(step) for step in columns["step"] if step is not None]
        for name, values in columns.items():
            kept = [(s, v) for s, v in zip(steps, values, strict=True) if v is not None]
            if name != "step" and kept:
                curves.append(
                    Curve(
                        name=f"{part}/{name}",
                        steps=[s for s, _ in kept],
                        values=[float(f"{v:.5g}") for _, v in kept],
                    )
                )
    return curves
