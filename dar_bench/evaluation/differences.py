"""Several protocols side by side: the same images, every evaluator's numbers, and why they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from dar_bench.evaluators.base import Fingerprint
from dar_bench.results.texts import display

if TYPE_CHECKING:
    from dar_bench.evaluation.scoring import Scored

_EFFECTS = {
    "extractor": "another network or other weights: none of their numbers measure the same quantity",
    "resize": "the network sees other pixels, so every score moves",
    "rounding": "values are kept or rounded between resizing and network, so every score moves a little",
    "layer": "distances are taken in another space, so they cannot be compared",
    "neighbours": "precision and recall count other neighbours, and can move by points; no other score moves",
    "splits": "the inception score is averaged over other splits, and depends on the order of the images where "
    "they are taken in order; no other score moves",
    "dtype": "statistics are summed in another precision, which moves distances in the fifth digit or later",
    "trusted": "the weights of one are not the published ones, so its scores compare with no published number",
}
"""What it does to the scores when a field of the fingerprint differs."""


def score_table(results: Sequence[Scored]) -> tuple[list[str], list[list[str]]]:
    """Return headings and rows of all scores: one row for a score's name, one column for an evaluator.

    What stands in brackets in a score's name (its extractor) is told by the evaluator's column.
    """
    names = list(dict.fromkeys(_base(score.name) for one in results for score in one.scores))
    rows = []
    for name in names:
        row = [name]
        for one in results:
            found = next((score for score in one.scores if _base(score.name) == name), None)
            row.append(display(found) if found else "")
        rows.append(row)
    return ["score", *(one.evaluator.name for one in results)], rows


def fingerprint_table(results: Sequence[Scored]) -> tuple[list[str], list[list[str]]]:
    """Return headings and rows of the evaluators' choices: one row for a field, one column for an evaluator."""
    prints = [one.evaluator.fingerprint() for one in results]
    rows = [
        [name, *(_text(one, name) for one in prints)]
        for name in (field.name for field in fields(Fingerprint))
        if name not in ("evaluator", "trusted")
    ]
    rows.append(["reference", *(_reference(one) for one in results)])
    return ["choice", *(one.evaluator.name for one in results)], rows


def differences(results: Sequence[Scored]) -> list[str]:
    """Return one plain sentence for every choice by which two evaluators' numbers differ.

    Evaluators of different networks are told apart once; their other choices are not compared.
    """
    prints = [one.evaluator.fingerprint() for one in results]
    families: dict[str, list[Fingerprint]] = {}
    for one in prints:
        families.setdefault(_network(one), []).append(one)
    sentences = []
    if len(families) > 1:
        named = "; ".join(
            f"{_listed(family)} {'uses' if len(family) == 1 else 'use'} {extractor}"
            for extractor, family in families.items()
        )
        sentences.append(f"extractor: {named}. That is {_EFFECTS['extractor']}.")
    for family in families.values():
        choices = (name for name in _EFFECTS if name != "extractor")
        sentences += [sentence for name in choices if (sentence := _difference(family, name))]
    return sentences


def _difference(family: Sequence[Fingerprint], name: str) -> str:
    groups: dict[str, list[Fingerprint]] = {}
    for one in family:
        text = _text(one, name)
        if text:
            groups.setdefault(text, []).append(one)
    if len(groups) < 2:
        return ""
    named = "; ".join(f"{_listed(group)}: {text}" for text, group in groups.items())
    effect = _EFFECTS[name]
    return f"{name}: {named}. {effect[0].upper()}{effect[1:]}."


def _text(fingerprint: Fingerprint, name: str) -> str:
    value = getattr(fingerprint, name)
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _network(fingerprint: Fingerprint) -> str:
    """Return the name of the extractor's network, without the code that runs it and without hashes."""
    return fingerprint.extractor.partition("@")[0].partition("[")[0]


def _listed(family: Sequence[Fingerprint]) -> str:
    names = [one.evaluator for one in family]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _base(name: str) -> str:
    return name.partition("[")[0]


def _reference(one: Scored) -> str:
    parts = []
    if one.reference.statistics:
        parts.append(
            f"statistics ({', '.join(one.reference.statistics)}) of {one.reference.count or '?'} images"
        )
    if one.reference.features is not None:
        parts.append(f"{len(one.reference.features)} images")
    return " and ".join(parts)
