"""Numbers and reasons in sentences for a person."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """Return ``1 image``, ``2 images``, ``50,000 images``; the noun takes a plain s."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def first_sentence(text: str) -> str:
    """Return the first sentence of a message: up to a full stop that a space follows."""
    end = text.find(". ")
    return text if end < 0 else text[: end + 1]
