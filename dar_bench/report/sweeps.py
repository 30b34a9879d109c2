"""Curves over one option: records that differ in that option alone belong to one series."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from dar_bench.report.entries import Entry
from dar_bench.report.leaderboard import model_name
from dar_bench.report.svg import Chart, Point, Series
from dar_bench.results.texts import display, option_text
from dar_bench.score_tables import interval

_NUMBER = re.compile(r"\d+(\.\d+)?")
MAX_CHARTS = 12
"""Charts per option; a page of more helps nobody."""


@dataclass(frozen=True, kw_only=True)
class _Run:
    """Entries of one model, protocol and sample count that differ in the option alone.

    Attributes:
        name: of the model, with the options that tell it from others.
        measured: whether by this tool.
        entries: the oldest first.
    """

    name: str
    measured: bool
    entries: list[Entry]


def option_charts(entries: Sequence[Entry], option: str, x_name: str) -> list[Chart]:
    """Return one chart per score of how it moves with ``option``, for every set of at least two values.

    Args:
        entries: any; those without the option are left out.
        option: ``cfg`` or ``tokens``.
        x_name: the axis title.
    """
    runs = _runs(entries, option)
    names = dict.fromkeys(
        score.name for run in runs for entry in run.entries for score in entry.record.scores
    )
    charts = []
    for name in names:
        lines = [line for run in runs for line in _lines(run, name, option)]
        if lines:
            charts.append(_chart(lines, name, option, x_name))
    return charts[:MAX_CHARTS]


def _runs(entries: Sequence[Entry], option: str) -> list[_Run]:
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.record.kind == "generation" and option in entry.record.options:
            groups.setdefault(_identity(entry, option), []).append(entry)
    runs = []
    for group in groups.values():
        if len(group) > 1:
            first = group[0]
            others = option_text(first.record, without=[option]) if _ambiguous(groups, first) else ""
            name = model_name(first) + (f" ({others})" if others else "")
            runs.append(_Run(name=name, measured=first.measured, entries=group))
    return runs


@dataclass(frozen=True, kw_only=True)
class _Line:
    """What one line of a chart joins: scores of one protocol and count, by the option's text.

    Attributes:
        name: for the legend. measured: whether by this tool. by_value: the newest entry of every value.
    """

    name: str
    measured: bool
    by_value: dict[str, Entry]


def _lines(run: _Run, name: str, option: str) -> list[_Line]:
    """Return a line for every protocol and count of a score in a run, where it has at least two values."""
    groups: dict[tuple[str, int], dict[str, Entry]] = {}
    for entry in run.entries:
        score = entry.score(name)
        if score is not None:
            value = str(entry.record.options[option])
            groups.setdefault((score.protocol, score.n), {})[value] = entry
    groups = {key: by_value for key, by_value in groups.items() if len(by_value) > 1}
    told = _differences([protocol for protocol, _ in groups])
    return [
        _Line(
            name=_legend(run, next(iter(by_value.values())), count, told[protocol]),
            measured=run.measured,
            by_value=by_value,
        )
        for (protocol, count), by_value in groups.items()
    ]


def _legend(run: _Run, entry: Entry, count: int, protocol: str) -> str:
    """Return what tells a line from every other one: model, who scored, how many samples, and what is peculiar."""
    return ", ".join(part for part in (run.name, entry.evaluator, f"{count:,} samples", protocol) if part)


def _differences(protocols: Sequence[str]) -> dict[str, str]:
    """Return of every protocol the clauses that not all of them have; nothing where there is one protocol."""
    clauses = {protocol: re.split(r"\s*[,;]\s*", protocol) for protocol in protocols}
    return {
        protocol: "; ".join(
            clause for clause in own if not all(clause in others for others in clauses.values())
        )
        for protocol, own in clauses.items()
    }


def _identity(entry: Entry, option: str) -> str:
    """Return a text that is equal for records that differ in ``option`` alone."""
    record = entry.record
    others = {name: value for name, value in record.options.items() if name != option}
    evaluator = record.evaluator
    against = (evaluator.extractor_fingerprint, evaluator.reference_fingerprint) if evaluator else ()
    # A publication's tables are of one series where they name the same model and other options.
    weights = record.model.weights_sha256 or ""
    source = record.source.partition(",")[0] if not entry.measured else ""
    parts = [model_name(entry), weights, record.origin, source, record.samples, entry.evaluator, against]
    return json.dumps([*parts, others, sorted(record.seeds.items())], sort_keys=True, default=str)


def _ambiguous(groups: dict[str, list[Entry]], entry: Entry) -> bool:
    """Return whether another series has the same model's name and origin."""
    same = [
        group
        for group in groups.values()
        if len(group) > 1
        and model_name(group[0]) == model_name(entry)
        and group[0].measured == entry.measured
    ]
    return len(same) > 1


def _chart(lines: Sequence[_Line], score: str, option: str, x_name: str) -> Chart:
    places = _places({value for line in lines for value in line.by_value})
    series = [
        Series(
            name=line.name,
            points=[
                score_point(
                    places[value], entry, score, f"{option} {value}", joined=number(value) is not None
                )
                for value, entry in line.by_value.items()
            ],
            hollow=not line.measured,
        )
        for line in lines
    ]
    named = [(place, value) for value, place in places.items() if number(value) is None]
    return Chart(
        title=f"{score} against {x_name}", x_name=x_name, y_name=score, series=series, categories=named
    )


def number(value: str) -> float | None:
    """Return the number that an option's text is, with ``none`` for a guidance of 1, else ``None``."""
    if value == "none":
        return 1.0
    text = value.removeprefix("constant:")
    return float(text) if _NUMBER.fullmatch(text) else None


def _places(values: set[str]) -> dict[str, float]:
    """Return the place of every value on the x axis; what is no number stands to the right of the numbers."""
    numbers = {value: found for value in values if (found := number(value)) is not None}
    highest, lowest = max(numbers.values(), default=0.0), min(numbers.values(), default=0.0)
    step = max((highest - lowest) / 3, 0.5) if numbers else 1.0
    others = sorted(values - set(numbers))
    return {**numbers, **{value: highest + step * (index + 1) for index, value in enumerate(others)}}


def score_point(x: float, entry: Entry, name: str, at: str, *, joined: bool = True) -> Point:
    """Return the mark of one score of a record, with its interval and what a tooltip says."""
    score = entry.score(name)
    if score is None:
        raise ValueError(f"the record {entry.key} has no score {name}")
    said = f"{model_name(entry)}, {at}: {name} {display(score)}"
    if interval(score):
        said += f" (95 %: {interval(score)})"
    low, high = score.bounds() or (None, None)
    text = f"{said}, {entry.record.origin}"
    return Point(x=x, y=score.value, low=low, high=high, key=entry.key, text=text, joined=joined)
