"""The leaderboard: one row per record, measured and reported side by side, grouped as in the paper's Table 3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from dar_bench.report.entries import FAMILIES, OTHER, Entry
from dar_bench.results.ranking import base_name, lower_is_better
from dar_bench.results.texts import display, option_text
from dar_bench.score_tables import interval
from dar_bench.wording import counted

_FIRST = ("FID", "rFID", "gFID", "sFID", "IS", "precision", "recall", "PSNR", "SSIM")
"""Scores in the order that readers expect; their kin on other features follow, then all others."""


@dataclass(frozen=True, kw_only=True)
class Board:
    """One leaderboard.

    Attributes:
        title: what its rows have in common.
        kind: kind of its records.
        scores: names of its score columns.
        groups: family and its entries, in display order.
    """

    title: str
    kind: str
    scores: tuple[str, ...]
    groups: tuple[tuple[str, tuple[Entry, ...]], ...]


def boards(entries: Sequence[Entry]) -> list[Board]:
    """Return a board for generation, one for reconstruction and one for sets of images, where there are some."""
    titles = {
        "generation": "Generators",
        "reconstruction": "Tokenizers",
        "images": "Sets of images",
    }
    found = []
    for kind, title in titles.items():
        own = [entry for entry in entries if entry.record.kind == kind and entry.record.scores]
        if own:
            found.append(Board(title=title, kind=kind, scores=_columns(own), groups=_groups(own)))
    return found


def draw(board: Board) -> str:
    """Return the board as a table that the page's script sorts and filters."""
    columns = [
        _heading("model", "text"),
        _heading("origin", "text"),
        _heading("scored by", "text"),
        _heading("parameters", "number"),
        _heading("options", "text"),
        _heading("n", "number"),
        *(_heading(name, "number", lower=lower_is_better(name)) for name in board.scores),
    ]
    bodies = "".join(_body(family, entries, board.scores) for family, entries in board.groups)
    caption = f"{escape(board.title)}: {counted(sum(len(entries) for _, entries in board.groups), 'record')}"
    return (
        f'<div class="scroll"><table class="board" data-kind="{board.kind}"><caption>{caption}</caption>'
        f"<thead><tr>{''.join(columns)}</tr></thead>{bodies}</table></div>"
    )


def _heading(name: str, kind: str, *, lower: bool = False) -> str:
    arrow = "" if kind == "text" or name in ("n", "parameters") else (" ↓" if lower else " ↑")
    meaning = {" ↓": ", lower is better", " ↑": ", higher is better"}.get(arrow, "")
    return (
        f'<th scope="col" data-sort="{kind}" aria-sort="none"><button type="button" '
        f'title="Sort by {escape(name)}{meaning}">{_broken(name)}{arrow}</button></th>'
    )


def _broken(name: str) -> str:
    """Return a score's name with its extractor on a line of its own, for columns to be narrow."""
    base = base_name(name)
    return escape(base) + (f"<small>{escape(name[len(base) :])}</small>" if base != name else "")


def _body(family: str, entries: Sequence[Entry], scores: Sequence[str]) -> str:
    span = 6 + len(scores)
    head = f'<tr class="group"><th colspan="{span}" scope="rowgroup">{escape(family)}</th></tr>'
    rows = "".join(_row(entry, scores) for entry in entries)
    return f'<tbody data-family="{escape(family)}">{head}{rows}</tbody>'


def _row(entry: Entry, scores: Sequence[str]) -> str:
    record = entry.record
    parameters = record.model.parameters
    name = model_name(entry)
    cells = [
        f'<td data-value="{escape(name)}"><button type="button" class="link" data-key="{entry.key}" '
        f'title="Show where this comes from">{escape(name)}</button></td>',
        f"<td>{record.origin}{f', {escape(record.source)}' if record.source else ''}</td>",
        f"<td>{escape(entry.evaluator)}</td>",
        _number(parameters, "" if parameters is None else _short(parameters)),
        f'<td class="options">{escape(option_text(record))}</td>',
        _number(record.samples or None, f"{record.samples:,}" if record.samples else ""),
    ]
    for score_name in scores:
        score = entry.score(score_name)
        if score is None:
            cells.append(_number(None, ""))
            continue
        bounds = interval(score)
        said = "; ".join(text for text in (bounds and f"95 %: {bounds}", score.protocol, score.note) if text)
        cells.append(_number(score.value, escape(display(score)), title=said))
    return (
        f'<tr data-origin="{record.origin}" data-evaluator="{escape(entry.evaluator)}">{"".join(cells)}</tr>'
    )


def model_name(entry: Entry) -> str:
    """Return what the record is about."""
    return entry.record.model.name


def _number(value: float | None, text: str, *, title: str = "") -> str:
    shown = "" if value is None else f' data-value="{value!r}"'
    hover = f' title="{escape(title)}"' if title else ""
    return f'<td class="number"{shown}{hover}>{text}</td>'


def _short(count: float) -> str:
    """Return a parameter count as papers print it."""
    if count >= 1e9:
        return f"{count / 1e9:.2f}B"
    return f"{count / 1e6:.1f}M" if count >= 1e6 else f"{count:,}"


def _columns(entries: Sequence[Entry]) -> tuple[str, ...]:
    names = list(dict.fromkeys(score.name for entry in entries for score in entry.record.scores))
    order = {name: place for place, name in enumerate(_FIRST)}
    return tuple(
        sorted(names, key=lambda name: ("[" in name, order.get(name, len(order)), names.index(name)))
    )


def _groups(entries: Sequence[Entry]) -> tuple[tuple[str, tuple[Entry, ...]], ...]:
    order = [*FAMILIES, OTHER]
    families = sorted({entry.family for entry in entries}, key=order.index)
    return tuple(
        (
            family,
            tuple(
                sorted(
                    (entry for entry in entries if entry.family == family),
                    key=lambda entry: (model_name(entry), not entry.measured, option_text(entry.record)),
                )
            ),
        )
        for family in families
    )
