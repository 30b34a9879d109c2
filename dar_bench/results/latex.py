"""Records as a LaTeX table with booktabs rules, every text escaped."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dar_bench.results.record import Score
from dar_bench.results.store import StoredRecord
from dar_bench.results.texts import display, option_text

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # after a line's end a bracket would be read as its optional argument
    "]": "{]}",
}


def escape_latex(text: str) -> str:
    """Return ``text`` as LaTeX prints it, whatever signs it holds."""
    return "".join(_SPECIAL.get(sign, sign) for sign in text)


def latex_table(records: Sequence[StoredRecord], *, score: str = "") -> str:
    """Return one ``tabular``: model, options, n and a column for every score; needs the package booktabs.

    Args:
        records: in the order of the rows.
        score: keeps the scores whose names begin with it.
    """
    names = list(
        dict.fromkeys(
            entry.name
            for item in records
            for entry in item.record.scores
            if entry.name.lower().startswith(score.lower())
        )
    )
    lines = [
        "% needs \\usepackage{booktabs}",
        f"\\begin{{tabular}}{{ll{'r' * (len(names) + 1)}}}",
        "\\toprule",
        _line(["Model", "Options", "$n$", *map(escape_latex, names)]),
        "\\midrule",
    ]
    for item in records:
        found = [item.record.score(name) for name in names]
        if any(found):
            model = item.record.model.name + (" (reported)" if item.record.origin == "reported" else "")
            n = next(one.n for one in found if one is not None)
            cells = [escape_latex(model), escape_latex(option_text(item.record)), str(n), *map(_value, found)]
            lines.append(_line(cells))
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", ""])


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _value(score: Score | None) -> str:
    if score is None:
        return "--"
    text = display(score).replace("±", r"\pm")
    # Numbers such as 9.1e-05 are no mathematics as they stand.
    if "e" in text and math.isfinite(score.value):
        text = " ".join(_power(part) for part in text.split(" "))
    return f"${text}$"


def _power(part: str) -> str:
    mantissa, e, exponent = part.partition("e")
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if e else part
