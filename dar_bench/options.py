"""Options of a model: from the user's text to checked values, completed with the card's defaults."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from dar_bench.api import Card, Option
from dar_bench.errors import UserError, suggest

_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")


def parse_options(card: Card, texts: Mapping[str, str]) -> dict[str, Any]:
    """Parse and check the options that the user gave, and complete them with defaults.

    Args:
        card: the model whose options these are.
        texts: option name (with dashes) to the user's text.

    Returns:
        A value for every option of the card: int, float, bool, str, a `dar_bench.sampling.guidance.Schedule`,
        or ``None`` where that is the default.

    Raises:
        UserError: the model has no such option, or the text does not fit its type, bounds or choices.
    """
    known = {option.name: option for option in card.options}
    for name in texts:
        if name not in known:
            raise UserError(
                f"The model '{card.name}' has no option '{name}'.",
                why=suggest(name, known) or f"It takes: {', '.join(sorted(known)) or 'none'}.",
                hint=f"See 'dar-bench models {card.name}'.",
            )
    values: dict[str, Any] = {}
    for name, option in known.items():
        if name in texts:
            values[name] = parse_option(option, texts[name])
        elif option.type == "schedule" and isinstance(option.default, str):
            values[name] = parse_option(option, option.default)
        else:
            values[name] = option.default
    return values


def parse_option(option: Option, text: str) -> Any:
    """Parse one option's text and check its bounds and choices.

    The text ``none`` gives ``None`` where that is the option's default.
    """
    text = text.strip()
    if option.type == "schedule":
        from dar_bench.sampling.guidance import parse_schedule

        return parse_schedule(text)
    if option.default is None and text.lower() == "none":
        return None
    if option.type == "str":
        return _choice(option, text)
    if option.type == "bool":
        return _boolean(option, text)
    value = _number(option, text)
    low = option.minimum is not None and value < option.minimum
    high = option.maximum is not None and value > option.maximum
    if low or high:
        raise _invalid(option, text, f"It must be {_bounds(option)}.")
    return value


def describe(option: Option) -> str:
    """Return what an option accepts, in a few words: ``integer, at least 1``."""
    if option.choices:
        return "one of " + ", ".join(option.choices)
    kind = {
        "int": "integer",
        "float": "number",
        "bool": "true or false",
        "str": "text",
        "schedule": "schedule",
    }
    bounds = _bounds(option)
    return kind[option.type] + (f", {bounds}" if bounds else "")


def _choice(option: Option, text: str) -> str:
    if option.registered == "solvers":
        from dar_bench.sampling.ode import check_solver

        check_solver(text)
    if option.choices and text not in option.choices:
        listed = f"It must be one of: {', '.join(option.choices)}."
        raise _invalid(
            option, text, " ".join(part for part in (listed, suggest(text, option.choices)) if part)
        )
    return text


def _boolean(option: Option, text: str) -> bool:
    lowered = text.lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    raise _invalid(option, text, "It must be true or false.")


def _number(option: Option, text: str) -> int | float:
    try:
        value = int(text) if option.type == "int" else float(text)
    except ValueError:
        kind = "a whole number" if option.type == "int" else "a number"
        raise _invalid(option, text, f"It must be {kind}.") from None
    if not math.isfinite(value):
        raise _invalid(option, text, "It must be a finite number.")
    return value


def _bounds(option: Option) -> str:
    low, high = option.minimum, option.maximum
    if low is not None and high is not None:
        return f"from {low:g} to {high:g}"
    if low is not None:
        return f"at least {low:g}"
    return f"at most {high:g}" if high is not None else ""


def _invalid(option: Option, text: str, why: str) -> UserError:
    return UserError(f"'{text}' is not a value for the option '{option.name}'.", why=why)
