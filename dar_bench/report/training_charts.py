"""Training curves: what was logged over the steps, by run."""

from __future__ import annotations

from collections.abc import Sequence

from dar_bench.report.entries import Entry
from dar_bench.report.leaderboard import model_name
from dar_bench.report.svg import Chart, Point, Series

_FIRST = ("train/loss", "eval/")
_LEFT_OUT = ("train/lr", "train/images_per_second", "train/grad_norm")
"""Logged for whoever trains; they say nothing of the model."""


def training_charts(entries: Sequence[Entry]) -> list[Chart]:
    """Return one chart per model and quantity, the loss and the held-out scores first."""
    charts = []
    for entry in entries:
        if entry.record.kind != "training":
            continue
        curves = sorted(
            (curve for curve in entry.record.curves if curve.name not in _LEFT_OUT and len(curve.steps) > 1),
            key=lambda curve: next(
                (i for i, start in enumerate(_FIRST) if curve.name.startswith(start)), len(_FIRST)
            ),
        )
        for curve in curves:
            name = model_name(entry)
            points = [
                Point(x=step, y=value, key=entry.key, text=f"{name}, step {step}: {curve.name} {value:g}")
                for step, value in zip(curve.steps, curve.values, strict=True)
            ]
            charts.append(
                Chart(
                    title=f"{name}: {curve.name}",
                    x_name="optimizer steps",
                    y_name=curve.name,
                    series=[Series(name=name, points=points)],
                )
            )
    return charts
