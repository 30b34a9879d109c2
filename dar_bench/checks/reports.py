"""Outcomes for a person, for JUnit readers, for GitHub's annotations and as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

from dar_bench.checks.judging import Outcome, ScoreVerdict

COLUMNS = ("check", "score", "expected", "found", "standard errors", "verdict")


def table(outcomes: Sequence[Outcome]) -> list[list[str]]:
    """Return the cells of ``COLUMNS``, one row per score, or one per check where nothing was measured."""
    rows = []
    for outcome in outcomes:
        for score in outcome.scores:
            rows.append(
                [
                    outcome.name,
                    score.name,
                    f"{score.expected:.6g}",
                    "" if score.found is None else f"{score.found:.6g}",
                    "" if score.standard_errors is None else f"{score.standard_errors:+.2f}",
                    score.verdict,
                ]
            )
        if not outcome.scores:
            rows.append([outcome.name, "", "", "", "", outcome.verdict])
    return rows


def sentence(outcome: Outcome) -> str:
    """Return what came of a check, in words."""
    drifted = [_drift(score) for score in outcome.scores if score.verdict == "drifted"]
    parts = [part for part in (outcome.reason, *drifted) if part]
    if outcome.samples is not None and outcome.samples.sentence() not in parts:
        parts.append(outcome.samples.sentence())
    told = " ".join(part if part.endswith(".") else f"{part}." for part in parts)
    return f"{outcome.name}: {outcome.verdict}. {told}".strip()


def summary(outcomes: Sequence[Outcome]) -> str:
    """Return the counts of all verdicts in one line."""
    optional = sum(one.verdict == "not comparable" and one.optional for one in outcomes)
    counts = [
        f"{sum(one.verdict == verdict for one in outcomes)} {verdict}"
        for verdict in ("matches", "drifted", "not comparable")
    ]
    return f"{len(outcomes)} checks: {', '.join(counts)}{f' ({optional} optional)' if optional else ''}."


def json_value(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Return the outcomes as JSON values."""
    return [{**dataclasses.asdict(outcome), "passed": outcome.passed} for outcome in outcomes]


def junit(outcomes: Sequence[Outcome]) -> str:
    """Return a JUnit document: drift is a failure, a check that could not be made an error, or skipped if optional."""
    suite = ElementTree.Element(
        "testsuite",
        name="dar-bench check",
        tests=str(len(outcomes)),
        failures=str(sum(one.verdict == "drifted" for one in outcomes)),
        errors=str(sum(one.verdict == "not comparable" and not one.optional for one in outcomes)),
        skipped=str(sum(one.verdict == "not comparable" and one.optional for one in outcomes)),
        time=f"{sum(one.seconds for one in outcomes):.3f}",
    )
    for one in outcomes:
        case = ElementTree.SubElement(
            suite, "testcase", classname="dar-bench.check", name=one.name, time=f"{one.seconds:.3f}"
        )
        if one.verdict == "drifted":
            ElementTree.SubElement(case, "failure", message=sentence(one)).text = _lines(one)
        elif one.verdict == "not comparable":
            ElementTree.SubElement(case, "skipped" if one.optional else "error", message=sentence(one))
        ElementTree.SubElement(case, "system-out").text = _lines(one)
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def github_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """Return a GitHub workflow command for every check that did not match."""
    lines = []
    for one in outcomes:
        if one.verdict != "matches":
            level = "warning" if one.passed else "error"
            title = f"dar-bench check: {one.name}: {one.verdict}"
            lines.append(f"::{level} title={_property(title)}::{_data(sentence(one))}")
    return lines


def _drift(score: ScoreVerdict) -> str:
    away = "" if score.standard_errors is None else f", {abs(score.standard_errors):.1f} standard errors away"
    found = "nothing" if score.found is None else f"{score.found:.6g}"
    return f"{score.name} is {found} and was {score.expected:.6g}{away}"


def _lines(outcome: Outcome) -> str:
    return "\n".join("  ".join(cell for cell in row[1:] if cell) for row in table([outcome]))


def _data(text: str) -> str:
    """Escape as GitHub's runner wants it, for a command's message."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
