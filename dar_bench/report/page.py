"""The page: sections, provenance, style and script in one HTML file that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from importlib.resources import files
from typing import Any

from dar_bench import __version__
from dar_bench.report import leaderboard, svg
from dar_bench.report.entries import Entry
from dar_bench.report.images import Picture
from dar_bench.report.solver_tables import solver_tables
from dar_bench.report.sweeps import option_charts
from dar_bench.report.tradeoffs import cost_charts, tradeoff_charts
from dar_bench.report.training_charts import training_charts


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page; one with an empty body is left out."""

    anchor: str
    title: str
    body: str


def render(
    entries: Sequence[Entry],
    *,
    title: str,
    pictures: Sequence[Picture] = (),
    problems: Sequence[str] = (),
    made: datetime,
) -> str:
    """Return the report as HTML.

    Args:
        entries: the records.
        title: the page's heading.
        pictures: embedded as they are.
        problems: one sentence on each record or picture that was left out.
        made: when, shown in the footer.
    """
    sections = [section for section in _sections(entries, pictures, problems) if section.body]
    menu = "".join(f'<a href="#{section.anchor}">{escape(section.title)}</a>' for section in sections)
    body = "".join(
        f'<section id="{section.anchor}"><h2>{escape(section.title)}</h2>{section.body}</section>'
        for section in sections
    )
    measured = sum(entry.measured for entry in entries)
    counts = f"{measured} measured and {len(entries) - measured} reported records"
    return _PAGE.format(
        title=escape(title),
        style=_asset("report.css"),
        counts=counts,
        menu=menu,
        body=body,
        made=made.strftime("%Y-%m-%d %H:%M UTC"),
        version=escape(__version__),
        data=_embedded({entry.key: provenance(entry) for entry in entries}),
        script=_asset("report.js"),
    )


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header><h1>{title}</h1><p>{counts}. Click a model, a value or a point to see where it comes from.</p>
<nav aria-label="Sections">{menu}</nav></header>
<main id="main">{body}</main>
<footer>Made by dar-bench {version} on {made}. Intervals are at 95 %. Hollow marks are reported by publications.
Scores of different protocols are different quantities: a column holds one score, its protocol is in each value's
tooltip and in its record.</footer>
<dialog id="provenance" aria-labelledby="provenance-title"><form method="dialog">
<button class="close" aria-label="Close">×</button></form><h2 id="provenance-title"></h2><div id="provenance-body">
</div></dialog>
<script type="application/json" id="records">{data}</script>
<script>{script}</script>
</body>
</html>
"""


def _sections(
    entries: Sequence[Entry], pictures: Sequence[Picture], problems: Sequence[str]
) -> list[Section]:
    boards = leaderboard.boards(entries)
    return [
        Section(anchor="leaderboard", title="Leaderboard", body=_leaderboard(boards)),
        Section(
            anchor="guidance",
            title="Scores against guidance",
            body=_charts(option_charts(entries, "cfg", "guidance scale")),
        ),
        Section(
            anchor="tokens",
            title="Scores against the number of tokens",
            body=_charts(option_charts(entries, "tokens", "tokens")),
        ),
        Section(anchor="tradeoffs", title="Trade-offs", body=_charts(tradeoff_charts(entries))),
        Section(anchor="cost", title="Quality and cost", body=_charts(cost_charts(entries))),
        Section(anchor="solvers", title="Solvers", body="".join(solver_tables(entries))),
        Section(anchor="samples", title="Samples", body="".join(picture.html() for picture in pictures)),
        Section(anchor="training", title="Training", body=_charts(training_charts(entries))),
        Section(anchor="left-out", title="Left out", body=_problems(problems)),
    ]


def _leaderboard(boards: Sequence[leaderboard.Board]) -> str:
    if not boards:
        return ""
    families = dict.fromkeys(family for board in boards for family, _ in board.groups)
    choices = "".join(f'<option value="{escape(name)}">{escape(name)}</option>' for name in families)
    controls = (
        '<form class="controls" role="search" onsubmit="return false">'
        '<label>Search <input type="search" id="search" placeholder="model, option, source"></label>'
        f'<label>Group <select id="family"><option value="">all</option>{choices}</select></label>'
        '<label>Origin <select id="origin"><option value="">measured and reported</option>'
        '<option value="measured">measured</option><option value="reported">reported</option></select></label>'
        '<output id="shown" aria-live="polite"></output></form>'
    )
    return controls + "".join(leaderboard.draw(board) for board in boards)


def _charts(charts: Sequence[svg.Chart]) -> str:
    return f'<div class="charts">{"".join(svg.draw(chart) for chart in charts)}</div>' if charts else ""


def _problems(problems: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in problems)}</ul>" if problems else ""


def provenance(entry: Entry) -> dict[str, Any]:
    """Return what the page shows of a record on a click: all of it but the curves and empty fields."""
    data = entry.record.model_dump(mode="json", exclude={"curves"})
    kept = _without_empty(data)
    if not isinstance(kept, dict):
        raise TypeError("a record is an object")
    return kept


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        pairs = ((name, _without_empty(item)) for name, item in value.items())
        return {name: item for name, item in pairs if item not in (None, "", [], {})}
    return value


def _embedded(data: Any) -> str:
    """Return JSON that can stand inside a ``<script>``: no tag can be opened or closed by it."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _asset(name: str) -> str:
    return (files("dar_bench.report") / "assets" / name).read_text(encoding="utf-8")
