"""What a conformance rule is, and what comes of one.

A rule is a function with an identifier. It takes a subject (a plugin, a card, a tokenizer, an autoencoder, a
generator, a command, a data set) and returns a short text that says what was found to hold. It raises `Broken`
where the rule does not hold and `DoesNotApply` where it has nothing to say. Its docstring's first line is its
title, and the guide explains it in a line of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

Scope = Literal["plugin", "card", "tokenizer", "autoencoder", "generator", "command", "dataset"]
RUNNING: tuple[Scope, ...] = ("tokenizer", "autoencoder", "generator")
"""Scopes whose rules run a model."""

Outcome = Literal["holds", "fails", "does not apply"]

SubjectT = TypeVar("SubjectT")


class Broken(Exception):
    """The rule does not hold; the text says what was found and what was expected."""


class DoesNotApply(Exception):
    """The rule has nothing to say about this subject; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule.

    Attributes:
        id: its name on the command line, in the guide and in tests: lower case with dashes.
        scope: what it is asked of. Rules of those in `RUNNING` run the model; the others do not.
        check: the rule itself.
    """

    id: str
    scope: Scope
    check: Callable[[Any], str]

    @property
    def title(self) -> str:
        """What the rule demands, in one sentence."""
        return (self.check.__doc__ or "").strip().splitlines()[0]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What came of one rule on one subject.

    Attributes:
        rule: the rule's identifier.
        subject: what was looked at: ``model dar-tiny``, ``command train ar``.
        outcome: ``holds``, ``fails`` or ``does not apply``.
        detail: what was found, or why the rule does not apply.
        guide_line: line of the guide that explains the rule, counted from 1.
    """

    rule: str
    subject: str
    outcome: Outcome
    detail: str
    guide_line: int


RULES: dict[str, Rule] = {}
"""All rules by identifier, in the order of their definition; filled by `dar_bench.conformance.suite`."""


def rule(id: str, scope: Scope) -> Callable[[Callable[[SubjectT], str]], Callable[[SubjectT], str]]:
    """Register the decorated function as a rule."""

    def register(check: Callable[[SubjectT], str]) -> Callable[[SubjectT], str]:
        if id in RULES:
            raise ValueError(f"two rules are called {id}")
        RULES[id] = Rule(id=id, scope=scope, check=check)
        return check

    return register


def demand(condition: bool, otherwise: str) -> None:
    """Raise `Broken` with the text unless the condition holds."""
    if not condition:
        raise Broken(otherwise)
