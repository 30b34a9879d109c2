"""What the sweeps with a command of their own fill in."""

from __future__ import annotations

from collections.abc import Sequence

from dar_bench.errors import UserError
from dar_bench.loading import generator_card, tokenizer_card


def quarters(model: str) -> tuple[str, ...]:
    """Return a quarter, a half, three quarters and all of a generator's tokens (the rows of the paper's Table 5).

    Raises:
        UserError: it has no tokens.
    """
    card = generator_card(model)
    if not card.tokenizer:
        raise UserError(
            f"'{card.name}' makes no tokens.",
            why="Its images are not decoded from codes, so there is nothing to leave out.",
            hint="Sweep an autoregressive model, or another option.",
        )
    tokens = tokenizer_card(card.tokenizer).tokens
    return tuple(str(tokens * part // 4) for part in (1, 2, 3, 4))


def one_of(tokenizer: str | None, model: str | None) -> str:
    """Return the model that a solver sweep is about.

    Raises:
        UserError: none or both are named, or one of the wrong kind.
    """
    if tokenizer is not None and model is None:
        return tokenizer_card(tokenizer).name
    if model is not None and tokenizer is None:
        return generator_card(model).name
    raise UserError("Name a tokenizer or a model.", hint="Give --tokenizer or --model, one of the two.")


def option_texts(texts: Sequence[str]) -> dict[str, str]:
    """Return the options of ``--option NAME=VALUE``.

    Raises:
        UserError: another form, or an option given twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name:
            raise UserError(
                f"The option '{text}' has no value.",
                hint="Write --option NAME=VALUE; 'dar-bench models MODEL' lists names and values.",
            )
        if name in found:
            raise UserError(f"The option '{name}' is given twice.", hint="Give it once.")
        found[name] = value
    return found
