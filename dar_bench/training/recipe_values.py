"""Turning the values of a recipe file into the types that its dataclasses declare."""

from __future__ import annotations

import types
from typing import Any, Literal, Union, get_args, get_origin


class WrongType(Exception):
    """A value does not fit its declared type; the message says what was expected."""


def convert(value: Any, declared: Any) -> Any:
    """Return ``value`` as the type ``declared``.

    Understood: ``bool``, ``int``, ``float`` (a whole number is accepted), ``str``, ``Literal[...]``, ``X |
        None``,
    ``tuple[X, ...]`` and ``tuple[X, Y]``. Nothing is guessed: the text "3" is not a number.

    Raises:
        WrongType: with one phrase such as "a whole number".
    """
    origin = get_origin(declared)
    if origin in (Union, types.UnionType):
        return _convert_optional(value, get_args(declared))
    if origin is Literal:
        if value in get_args(declared) and not isinstance(value, bool):
            return value
        raise WrongType(expected(declared))
    if origin is tuple:
        return _convert_tuple(value, declared)
    if declared is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if declared in (bool, int, float, str) and type(value) is declared:
        return value
    raise WrongType(expected(declared))


def parse_text(text: str, declared: Any) -> Any:
    """Return the value that ``--set key=text`` means for a field of type ``declared``.

    Tuples are written with commas (``0.9,0.95``), a missing value as ``none``.

    Raises:
        WrongType: where the text cannot be read as the declared type.
    """
    origin = get_origin(declared)
    if origin in (Union, types.UnionType):
        inner = [part for part in get_args(declared) if part is not type(None)]
        if text.strip().lower() == "none" and len(inner) < len(get_args(declared)):
            return None
        return parse_text(text, inner[0])
    if origin is tuple:
        parts = [part.strip() for part in text.strip().strip("[]()").split(",") if part.strip()]
        items = _item_types(declared, len(parts))
        return tuple(parse_text(part, item) for part, item in zip(parts, items, strict=True))
    if origin is Literal:
        for choice in get_args(declared):
            if text.strip() == str(choice):
                return choice
        raise WrongType(expected(declared))
    if declared is bool:
        words = {"true": True, "false": False}
        if text.strip().lower() in words:
            return words[text.strip().lower()]
        raise WrongType(expected(declared))
    if declared in (int, float):
        try:
            return declared(text.strip())
        except ValueError as error:
            raise WrongType(expected(declared)) from error
    return text


def expected(declared: Any) -> str:
    """Return the phrase that an error uses for a declared type."""
    origin = get_origin(declared)
    if origin in (Union, types.UnionType):
        inner = [part for part in get_args(declared) if part is not type(None)]
        return " or ".join(expected(part) for part in inner) + ", or nothing"
    if origin is Literal:
        return "one of " + ", ".join(str(choice) for choice in get_args(declared))
    if origin is tuple:
        items = get_args(declared)
        if items[-1] is Ellipsis:
            return f"a list, each item {expected(items[0])}"
        return f"a list of {len(items)} items, each {expected(items[0])}"
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a text in quotes"}
    return names.get(declared, "a section")


def _convert_optional(value: Any, options: tuple[Any, ...]) -> Any:
    if value is None and type(None) in options:
        return None
    for option in options:
        if option is type(None):
            continue
        try:
            return convert(value, option)
        except WrongType:
            continue
    raise WrongType(expected(Union[options]))  # noqa: UP007 - built from a runtime tuple


def _convert_tuple(value: Any, declared: Any) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise WrongType(expected(declared))
    items = _item_types(declared, len(value))
    return tuple(convert(part, item) for part, item in zip(value, items, strict=True))


def _item_types(declared: Any, length: int) -> tuple[Any, ...]:
    items = get_args(declared)
    if items[-1] is Ellipsis:
        return (items[0],) * length
    if len(items) != length:
        raise WrongType(expected(declared))
    return items
