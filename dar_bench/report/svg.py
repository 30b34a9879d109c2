"""Charts as SVG text: lines with bands, and scatter plots.

Every point carries the key of its record, can be reached by keyboard, and says its numbers in a label that screen
readers and tooltips show. Series differ by colour, by marker and by dash, so that no colour has to be told apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from dar_bench.report.scales import Scale, fitted, label

WIDTH, HEIGHT = 460, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 16, 14, 46
SERIES_COLOURS = 8
"""Colours that the style sheet defines (Okabe and Ito's palette, told apart by all kinds of colour vision)."""

_DASHES = ("", "6 3", "2 3", "8 3 2 3")
_MARKERS = ("circle", "square", "triangle", "diamond")


@dataclass(frozen=True, kw_only=True)
class Point:
    """One mark.

    Attributes:
        x, y: values; ``x`` may be a place in ``Chart.categories`` beyond the numbers.
        low, high: 95 % interval of ``y``, where there is one.
        key: of the record behind it, ``""`` for none.
        text: said by the tooltip.
        joined: whether the line and band of its series pass through it; not where ``x`` is no number.
    """

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    key: str = ""
    text: str = ""
    joined: bool = True


@dataclass(frozen=True, kw_only=True)
class Series:
    """Points of one name. ``line`` joins them in order of x; ``hollow`` marks reported numbers."""

    name: str
    points: Sequence[Point]
    line: bool = True
    hollow: bool = False


@dataclass(frozen=True, kw_only=True)
class Chart:
    """What is drawn.

    Attributes:
        title: what the chart shows, in words.
        x_name, y_name: axis titles.
        series: at least one point in all.
        categories: places on the x axis that are no numbers (guidance schedules), with their texts; they
            stand to the right of the numbers, apart from them.
        front: points of a Pareto front, joined by a step line; in order of x.
    """

    title: str
    x_name: str
    y_name: str
    series: Sequence[Series]
    categories: Sequence[tuple[float, str]] = ()
    front: Sequence[tuple[float, float]] = field(default=())


def draw(chart: Chart) -> str:
    """Return the chart as a ``<figure>`` with its legend."""
    points = [point for series in chart.series for point in series.points]
    if not points:
        raise ValueError("a chart needs a point")
    x = fitted(
        [point.x for point in points] + [place for place, _ in chart.categories], _LEFT, WIDTH - _RIGHT
    )
    heights = [value for point in points for value in (point.y, point.low, point.high) if value is not None]
    y = fitted(heights, HEIGHT - _BOTTOM, _TOP)
    parts = [*_frame(chart, x, y)]
    if chart.front:
        parts.append(_front(chart.front, x, y))
    parts += [_band(series, x, y, index) for index, series in enumerate(chart.series) if series.line]
    parts += [_line(series, x, y, index) for index, series in enumerate(chart.series) if series.line]
    parts += [
        _mark(point, series, x, y, index)
        for index, series in enumerate(chart.series)
        for point in series.points
    ]
    drawing = (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="group" aria-label="{escape(chart.title)}">'
        f"{''.join(parts)}</svg>"
    )
    return f'<figure class="chart"><figcaption>{escape(chart.title)}</figcaption>{drawing}{_legend(chart)}</figure>'


def _frame(chart: Chart, x: Scale, y: Scale) -> list[str]:
    bottom, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
    numbers = [point.x for series in chart.series for point in series.points]
    places = {place for place, _ in chart.categories}
    largest = max((value for value in numbers if value not in places), default=None)
    parts = []
    for tick in y.ticks():
        at = y(tick)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(
            f'<text class="tick" x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{label(tick)}</text>'
        )
    for tick in x.ticks():
        if places and (largest is None or tick > largest * 1.001):
            continue  # beyond the numbers only the named places mean something
        parts.append(
            f'<text class="tick" x="{x(tick):.1f}" y="{bottom + 16}" text-anchor="middle">{label(tick)}</text>'
        )
    for place, text in chart.categories:
        at = x(place)
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{bottom}"/>')
        parts.append(
            f'<text class="tick" x="{at:.1f}" y="{bottom + 16}" text-anchor="middle">{escape(text)}</text>'
        )
    parts.append(f'<line class="axis" x1="{_LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/>')
    middle = (_LEFT + right) / 2
    parts.append(
        f'<text class="name" x="{middle:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(chart.x_name)}</text>'
    )
    centre = (_TOP + bottom) / 2
    parts.append(
        f'<text class="name" text-anchor="middle" transform="translate(13 {centre:.1f}) rotate(-90)">'
        f"{escape(chart.y_name)}</text>"
    )
    return parts


def _band(series: Series, x: Scale, y: Scale, index: int) -> str:
    bounded = [(point, point.low, point.high) for point in _ordered(series)]
    upper = [f"{x(point.x):.1f},{y(high):.1f}" for point, _, high in bounded if high is not None]
    lower = [f"{x(point.x):.1f},{y(low):.1f}" for point, low, _ in bounded if low is not None]
    if len(upper) < 2 or len(upper) != len(lower):
        return ""
    outline = " ".join([*upper, *reversed(lower)])
    return f'<polygon class="band s{index % SERIES_COLOURS}" points="{outline}"/>'


def _line(series: Series, x: Scale, y: Scale, index: int) -> str:
    points = _ordered(series)
    if len(points) < 2:
        return ""
    path = " ".join(f"{x(point.x):.1f},{y(point.y):.1f}" for point in points)
    dash = _DASHES[
        index // SERIES_COLOURS % len(_DASHES) if index >= SERIES_COLOURS else index % len(_DASHES)
    ]
    style = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<polyline class="line s{index % SERIES_COLOURS}" points="{path}"{style}/>'


def _mark(point: Point, series: Series, x: Scale, y: Scale, index: int) -> str:
    at, up = x(point.x), y(point.y)
    shape = _shape(_MARKERS[index % len(_MARKERS)], at, up)
    whisker = ""
    if not (series.line and point.joined) and point.low is not None and point.high is not None:
        top, end = y(point.high), y(point.low)
        whisker = f'<line class="whisker" x1="{at:.1f}" x2="{at:.1f}" y1="{end:.1f}" y2="{top:.1f}"/>'
    kind = f"mark s{index % SERIES_COLOURS}" + (" hollow" if series.hollow else "")
    said = escape(point.text)
    link = f' data-key="{escape(point.key)}" tabindex="0" role="button"' if point.key else ' role="img"'
    return f'<g class="{kind}"{link} aria-label="{said}"><title>{said}</title>{whisker}{shape}</g>'


def _shape(marker: str, x: float, y: float, size: float = 4.5) -> str:
    if marker == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}"/>'
    if marker == "square":
        return f'<rect x="{x - size:.1f}" y="{y - size:.1f}" width="{2 * size}" height="{2 * size}"/>'
    corners = [(0.0, -1.2), (1.1, 0.8), (-1.1, 0.8)]
    if marker == "diamond":
        corners = [(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)]
    path = " ".join(f"{x + size * right:.1f},{y + size * down:.1f}" for right, down in corners)
    return f'<polygon points="{path}"/>'


def _front(front: Sequence[tuple[float, float]], x: Scale, y: Scale) -> str:
    path = " ".join(f"{x(across):.1f},{y(up):.1f}" for across, up in front)
    return f'<polyline class="front" points="{path}"><title>Pareto front</title></polyline>'


def _legend(chart: Chart) -> str:
    items = []
    for index, series in enumerate(chart.series):
        kind = f"mark s{index % SERIES_COLOURS}" + (" hollow" if series.hollow else "")
        shape = _shape(_MARKERS[index % len(_MARKERS)], 7, 7)
        items.append(
            f'<li><svg viewBox="0 0 14 14" aria-hidden="true"><g class="{kind}">{shape}</g></svg>'
            f"{escape(series.name)}</li>"
        )
    if chart.front:
        items.append(
            '<li><svg viewBox="0 0 14 14" aria-hidden="true"><path class="front" d="M0 7H14"/></svg>Pareto front</li>'
        )
    return f'<ul class="legend">{"".join(items)}</ul>'


def _ordered(series: Series) -> list[Point]:
    """Return the points that the line passes through, by x."""
    return sorted((point for point in series.points if point.joined), key=lambda point: point.x)
