"""Guidance schedules: one classifier-free guidance scale per token, or per step of a diffusion model.

    none                no guidance, scale 1 everywhere
    1.5                 the same scale everywhere
    linear:1.1-8.0      N values from 1.1 to 8.0, both ends included (D-AR, arXiv 2505.23660, Table 3)
    cosine:1.1-8.0      from 1.1 to 8.0 along half a cosine, flat at both ends
    power:1.1-8.0:3     from 1.1 to 8.0 with the exponent 3 (the default) on the token's position
    interval:4.0:0.2-0.8  scale 4.0 from 20 % of the tokens to before 80 %, scale 1 elsewhere

What follows says tokens for either. With conditional logits (or noise estimates) c and unconditional ones u, a
scale s means u + s * (c - u): 1 is no guidance, 0 is unconditional, and numbers may be negative or in scientific
notation.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dar_bench.errors import UserError, unknown_name

Scales = npt.NDArray[np.float64]

_FORMS = {
    "none": "none",
    "constant": "1.5",
    "linear": "linear:1.1-8.0",
    "cosine": "cosine:1.1-8.0",
    "power": "power:1.1-8.0:3",
    "interval": "interval:4.0:0.2-0.8",
}
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"


class Schedule(ABC):
    """The scale of every token; ``str()`` gives the text that ``parse_schedule`` reads as an equal one."""

    @abstractmethod
    def scales(self, count: int) -> Scales:
        """Return the scales of tokens 0 to ``count - 1``, float64 (count,)."""

    @abstractmethod
    def __str__(self) -> str: ...


@dataclass(frozen=True)
class NoGuidance(Schedule):
    """Scale 1 for every token."""

    def scales(self, count: int) -> Scales:
        """Return ones."""
        return np.ones(count)

    def __str__(self) -> str:
        return "none"


@dataclass(frozen=True)
class Constant(Schedule):
    """The same scale for every token."""

    scale: float

    def scales(self, count: int) -> Scales:
        """Return ``scale`` for every token."""
        return np.full(count, self.scale)

    def __str__(self) -> str:
        return repr(self.scale)


@dataclass(frozen=True)
class Linear(Schedule):
    """Token i has the scale at i / (N - 1) of the way from ``start`` to ``end``."""

    start: float
    end: float

    def scales(self, count: int) -> Scales:
        """Return the straight line, both ends included."""
        return _between(self.start, self.end, _progress(count))

    def __str__(self) -> str:
        return f"linear:{self.start!r}-{self.end!r}"


@dataclass(frozen=True)
class Cosine(Schedule):
    """From ``start`` to ``end`` with the weight (1 - cos(pi * i / (N - 1))) / 2."""

    start: float
    end: float

    def scales(self, count: int) -> Scales:
        """Return the half-cosine, both ends included."""
        return _between(self.start, self.end, 0.5 - 0.5 * np.cos(math.pi * _progress(count)))

    def __str__(self) -> str:
        return f"cosine:{self.start!r}-{self.end!r}"


@dataclass(frozen=True)
class Power(Schedule):
    """From ``start`` to ``end`` with the weight (i / (N - 1)) ** exponent."""

    start: float
    end: float
    exponent: float = 3.0

    def scales(self, count: int) -> Scales:
        """Return the power curve, both ends included."""
        return _between(self.start, self.end, _progress(count) ** self.exponent)

    def __str__(self) -> str:
        return f"power:{self.start!r}-{self.end!r}:{self.exponent!r}"


@dataclass(frozen=True)
class Interval(Schedule):
    """``scale`` for tokens i with low <= i / N < high, and 1 elsewhere."""

    scale: float
    low: float
    high: float

    def scales(self, count: int) -> Scales:
        """Return the step function."""
        fraction = np.arange(count) / count
        return np.where((fraction >= self.low) & (fraction < self.high), self.scale, 1.0)

    def __str__(self) -> str:
        return f"interval:{self.scale!r}:{self.low!r}-{self.high!r}"


def parse_schedule(text: str) -> Schedule:
    """Read a schedule.

    A name that is not built in is looked up among the plugins' schedules; their objects are called with the
    text behind the first colon and return a ``Schedule``.

    Raises:
        UserError: the text has none of the known forms.
    """
    text = text.strip()
    if text == "none":
        return NoGuidance()
    if re.fullmatch(_NUMBER, text):
        return Constant(_number(text, text))
    name, _, arguments = text.partition(":")
    if name in _PARSERS:
        return _PARSERS[name](text, arguments)
    if not re.fullmatch(r"[a-zA-Z][\w-]*", name) or name in _FORMS:
        raise _malformed(text)
    return _plugin_schedule(name, arguments)


def _between(start: float, end: float, weight: Scales) -> Scales:
    # Written so that both ends are exact: a scale of exactly 1 saves the second forward pass.
    return start * (1.0 - weight) + end * weight if start != end else np.full(len(weight), start)


def _progress(count: int) -> Scales:
    return np.linspace(0.0, 1.0, count)


def _parse_linear(text: str, arguments: str) -> Schedule:
    return Linear(*_range(text, arguments))


def _parse_cosine(text: str, arguments: str) -> Schedule:
    return Cosine(*_range(text, arguments))


def _parse_power(text: str, arguments: str) -> Schedule:
    ends, colon, exponent = arguments.partition(":")
    schedule = Power(*_range(text, ends), *([_number(text, exponent)] if colon else []))
    if schedule.exponent <= 0:
        raise _malformed(text, "The exponent must be above 0.")
    return schedule


def _parse_interval(text: str, arguments: str) -> Schedule:
    scale, _, ends = arguments.partition(":")
    low, high = _range(text, ends)
    if not 0.0 <= low < high <= 1.0:
        raise _malformed(
            text, "The interval is given in fractions of the tokens or steps, 0 <= lo < hi <= 1."
        )
    return Interval(_number(text, scale), low, high)


_PARSERS: dict[str, Callable[[str, str], Schedule]] = {
    "linear": _parse_linear,
    "cosine": _parse_cosine,
    "power": _parse_power,
    "interval": _parse_interval,
}


def _plugin_schedule(name: str, arguments: str) -> Schedule:
    from dar_bench.plugins import registry

    offered = registry().components("schedules")
    if name not in offered:
        raise unknown_name("guidance schedule", name, ["none", *_PARSERS, *offered], hint=_forms())
    schedule = registry().component("schedules", name)(arguments)
    if not isinstance(schedule, Schedule):
        raise UserError(
            f"The schedule '{name}' of a plugin does not work.",
            why=f"It returned {type(schedule).__name__}, not dar_bench.sampling.guidance.Schedule.",
        )
    return schedule


def _range(text: str, arguments: str) -> tuple[float, float]:
    match = re.fullmatch(f"({_NUMBER})-({_NUMBER})", arguments)
    if match is None:
        raise _malformed(text)
    return _number(text, match[1]), _number(text, match[2])


def _number(text: str, number: str) -> float:
    if not re.fullmatch(_NUMBER, number):
        raise _malformed(text)
    value = float(number)
    if not math.isfinite(value):
        raise _malformed(text, f"{number} is too large.")
    return value


def _malformed(text: str, why: str = "") -> UserError:
    name = text.partition(":")[0]
    if not why and name in _PARSERS:
        why = f"This kind is written like {_FORMS[name]}."
    return UserError(f"Malformed guidance schedule '{text}'.", why=why, hint=_forms())


def _forms() -> str:
    return f"Forms: {', '.join(_FORMS.values())}."
