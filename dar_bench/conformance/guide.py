"""The plugin guide, its sections and the line that explains each rule."""

from __future__ import annotations

import functools
import re
from pathlib import Path

from dar_bench.errors import unknown_name

GUIDE = Path(__file__).with_name("guide.md")
_RULE = re.compile(r"^- \*\*([a-z0-9-]+)\*\*: ")


@functools.cache
def lines() -> tuple[str, ...]:
    """Return the guide's lines."""
    return tuple(GUIDE.read_text(encoding="utf-8").splitlines())


@functools.cache
def rule_lines() -> dict[str, int]:
    """Return rule identifier to the number of the line that explains it, counted from 1."""
    matches = ((number, _RULE.match(line)) for number, line in enumerate(lines(), start=1))
    return {match[1]: number for number, match in matches if match}


def rule_line(rule: str) -> int:
    """Return the number of the line that explains a rule."""
    return rule_lines()[rule]


def sections() -> dict[str, str]:
    """Return the sections by the name that the command line takes: heading in lower case with dashes."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in lines():
        if line.startswith("## "):
            current = found.setdefault(re.sub(r"[^a-z0-9]+", "-", line[3:].lower()).strip("-"), [])
        current.append(line)
    return {name: "\n".join(text).rstrip() for name, text in found.items()}


def text(topic: str = "") -> str:
    """Return the whole guide, one section of it, or the line that explains a rule.

    Raises:
        UserError: no section and no rule has this name; the nearest one is suggested.
    """
    if not topic:
        return "\n".join(lines())
    if topic in rule_lines():
        return lines()[rule_line(topic) - 1]
    known = sections()
    if topic in known:
        return known[topic]
    raise unknown_name(
        "topic of the guide", topic, [*known, *rule_lines()], hint="See 'dar-bench plugins guide'."
    )
