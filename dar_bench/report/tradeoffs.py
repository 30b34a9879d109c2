"""Two scores of the same record against each other, and quality against cost, with their Pareto fronts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from dar_bench.report.entries import Entry
from dar_bench.report.leaderboard import model_name
from dar_bench.report.svg import Chart, Point, Series
from dar_bench.results.ranking import base_name, lower_is_better, pareto_front, seconds_per_image
from dar_bench.results.texts import display, option_text

_PAIRS = (("IS", "FID"), ("IS", "FD"), ("recall", "precision"))
MAX_SERIES = 16


def tradeoff_charts(entries: Sequence[Entry]) -> list[Chart]:
    """Return FID (or FD) against IS and precision against recall, one chart for every extractor."""
    charts = []
    for across, up in _PAIRS:
        for x_name, y_name in _shared(entries, across, up):
            chart = _scatter(
                entries,
                x_name,
                y_name,
                partial(_value, name=x_name),
                lower_x=lower_is_better(x_name),
            )
            if chart is not None:
                charts.append(chart)
    return charts


def cost_charts(entries: Sequence[Entry]) -> list[Chart]:
    """Return each distance against the seconds and the operations that an image takes."""
    charts = []
    measured = [entry for entry in entries if entry.measured and entry.record.kind == "generation"]
    names = dict.fromkeys(
        score.name
        for entry in measured
        for score in entry.record.scores
        if base_name(score.name) in ("FID", "FD")
    )
    for name in names:
        for cost, cost_of in (("model seconds per image", _seconds), ("GFLOPs per image", _operations)):
            chart = _scatter(measured, cost, name, cost_of, lower_x=True)
            if chart is not None:
                charts.append(chart)
    return charts


def _shared(entries: Sequence[Entry], across: str, up: str) -> list[tuple[str, str]]:
    """Return the names of both scores for every extractor that gives both."""
    pairs: dict[tuple[str, str], None] = {}
    for entry in entries:
        if entry.record.kind != "generation":
            continue
        names = {score.name for score in entry.record.scores}
        for name in names:
            suffix = name[len(base_name(name)) :]
            if base_name(name) == up and across + suffix in names:
                pairs[across + suffix, name] = None
    return sorted(pairs)


def _scatter(
    entries: Sequence[Entry],
    x_name: str,
    y_name: str,
    x_of: Callable[[Entry], float | None],
    *,
    lower_x: bool,
) -> Chart | None:
    series: dict[tuple[str, bool], list[Point]] = {}
    measured: list[tuple[float, float]] = []
    for entry in entries:
        x, y = x_of(entry), _value(entry, y_name)
        if x is None or y is None or entry.record.kind != "generation":
            continue
        found = entry.score(y_name)
        options = option_text(entry.record)
        said = f"{model_name(entry)}: {y_name} {display(found) if found else y}, {x_name} {x:.4g}"
        said += f"; {options}; {entry.record.origin}" if options else f"; {entry.record.origin}"
        point = Point(x=x, y=y, key=entry.key, text=said)
        series.setdefault((model_name(entry), entry.measured), []).append(point)
        measured.append((x, y))
    if len(measured) < 2:
        return None
    kept = list(series.items())[:MAX_SERIES]
    return Chart(
        title=f"{y_name} against {x_name}",
        x_name=x_name,
        y_name=y_name,
        series=[
            Series(name=name if own else f"{name}, reported", points=points, line=False, hollow=not own)
            for (name, own), points in kept
        ],
        front=pareto_front(
            [(point.x, point.y) for _, points in kept for point in points],
            lower_x=lower_x,
            lower_y=lower_is_better(y_name),
        ),
    )


def _value(entry: Entry, name: str) -> float | None:
    score = entry.score(name)
    return score.value if score else None


def _seconds(entry: Entry) -> float | None:
    return seconds_per_image(entry.record)


def _operations(entry: Entry) -> float | None:
    operations = entry.record.cost.flops_per_image
    return None if operations is None else operations / 1e9
