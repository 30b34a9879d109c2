"""Which evaluators score, and what they say of two sides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dar_bench.errors import UserError
from dar_bench.evaluators.base import Evaluator, Side
from dar_bench.evaluators.names import ALL, known_evaluators, load_evaluator

if TYPE_CHECKING:
    from dar_bench.evaluation.extraction import Sides
    from dar_bench.results.record import Score


@dataclass(frozen=True, kw_only=True)
class Panel:
    """The evaluators of a measurement.

    Attributes:
        evaluators: those that work here.
        missing: name to reason of those that were asked for by ``all`` and do not.
        demanded: names of those that were asked for themselves: where one of these fails, that is an error.
    """

    evaluators: tuple[Evaluator, ...]
    missing: Mapping[str, str] = field(default_factory=dict)
    demanded: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What one evaluator says.

    Attributes:
        evaluator: who scored.
        reference: the side that it compared with.
        scores: with errors and protocols.
        unavailable: scores that could not be measured, with the reason.
    """

    evaluator: Evaluator
    reference: Side
    scores: list[Score]
    unavailable: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """What all evaluators say.

    Attributes:
        results: of those that scored.
        missing: name to reason of the others.
    """

    results: list[Scored]
    missing: Mapping[str, str] = field(default_factory=dict)


def load_panel(names: Sequence[str], device: str) -> Panel:
    """Load evaluators by name.

    Args:
        names: ``all`` among them takes every evaluator that there is; one that cannot be loaded is then left
            out with its reason.
        device: torch device string.

    Raises:
        UserError: an evaluator that was named itself is unknown, or its package or weights are missing.
    """
    named = [name for name in dict.fromkeys(names) if name != ALL]
    loaded = {name: load_evaluator(name, device) for name in named}
    missing: dict[str, str] = {}
    for name in known_evaluators() if ALL in names else ():
        if name not in loaded:
            try:
                loaded[name] = load_evaluator(name, device)
            except UserError as error:
                missing[name] = str(error)
    if not loaded:
        raise UserError("No evaluator works on this machine.", why=_reasons(missing))
    demanded = frozenset(loaded[name].name for name in named)
    return Panel(evaluators=tuple(loaded.values()), missing=missing, demanded=demanded)


def only(evaluator: Evaluator) -> Panel:
    """Return a panel of one evaluator."""
    return Panel(evaluators=(evaluator,), demanded=frozenset([evaluator.name]))


def score_each(
    panel: Panel,
    references: Sides,
    samples: Sides,
    score: Callable[[Evaluator, Side, Side], list[Score]],
) -> Verdicts:
    """Return what every evaluator says of two sides.

    Args:
        panel: who scores.
        references, samples: for every extractor that the evaluators use; an error in place of a side says why
            there is none.
        score: how an evaluator is asked (``generation`` with its seed, or ``reconstruction``).

    Raises:
        UserError: an evaluator that was asked for by its name cannot score, or none can.
    """
    found, missing = [], dict(panel.missing)
    for evaluator in panel.evaluators:
        extractor = evaluator.extractor.fingerprint()
        try:
            reference, drawn = _there(references[extractor]), _there(samples[extractor])
            scores = score(evaluator, reference, drawn)
        except UserError as error:
            if evaluator.name in panel.demanded:
                raise
            missing[evaluator.name] = str(error)
        else:
            found.append(Scored(evaluator=evaluator, reference=reference, scores=scores))
    if not found:
        raise UserError("No evaluator can score these sets.", why=_reasons(missing))
    return Verdicts(results=found, missing=missing)


def generation(seed: int) -> Callable[[Evaluator, Side, Side], list[Score]]:
    """Return the way to ask for generation scores; ``seed`` is that of an evaluator's own random choices."""

    def score(evaluator: Evaluator, reference: Side, samples: Side) -> list[Score]:
        return evaluator.score_generation(reference, samples, seed=seed)

    return score


def reconstruction(evaluator: Evaluator, originals: Side, reconstructions: Side) -> list[Score]:
    """Ask an evaluator for reconstruction scores."""
    return evaluator.score_reconstruction(originals, reconstructions)


def _there(side: Side | UserError) -> Side:
    if isinstance(side, UserError):
        raise side
    return side


def _reasons(missing: Mapping[str, str]) -> str:
    return " ".join(f"{name}: {reason}" for name, reason in missing.items())
