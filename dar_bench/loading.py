"""Models of the zoo with what a record must say of them: the kind is checked, the weights are hashed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from dar_bench import plugins
from dar_bench.api import Card, GeneratorCard, LoadOptions, TokenizerCard
from dar_bench.errors import UserError
from dar_bench.hashing import sha256_file
from dar_bench.weights import weights_path

if TYPE_CHECKING:
    from dar_bench.api import Generator, Tokenizer


@dataclass(frozen=True, kw_only=True)
class LoadedTokenizer:
    """A tokenizer on its device.

    Attributes:
        card: its card.
        model: the tokenizer.
        weights_sha256: hash of the weights file it was filled from.
        options: how it was loaded.
    """

    card: TokenizerCard
    model: Tokenizer
    weights_sha256: str
    options: LoadOptions


@dataclass(frozen=True, kw_only=True)
class LoadedGenerator:
    """A generator on its device.

    Attributes:
        card: its card.
        model: the generator.
        weights_sha256: hash of the weights file it was filled from.
        options: how it was loaded.
        tokenizer: its tokenizer, where it needs one.
    """

    card: GeneratorCard
    model: Generator
    weights_sha256: str
    options: LoadOptions
    tokenizer: LoadedTokenizer | None = None


def tokenizer_card(name: str) -> TokenizerCard:
    """Return the card of a tokenizer by name, alias or export folder.

    Raises:
        UserError: the name is unknown, or a generator's.
    """
    card = plugins.registry().card(name)
    if isinstance(card, TokenizerCard):
        return card
    raise UserError(
        f"'{name}' is no tokenizer.",
        why="It makes images of labels, not codes of images.",
        hint=f"Its tokenizer is '{card.tokenizer}'."
        if isinstance(card, GeneratorCard) and card.tokenizer
        else "'dar-bench models' lists the tokenizers.",
    )


def generator_card(name: str) -> GeneratorCard:
    """Return the card of a generator by name, alias or export folder.

    Raises:
        UserError: the name is unknown, or a tokenizer's.
    """
    card = plugins.registry().card(name)
    if isinstance(card, GeneratorCard):
        return card
    users = [
        other.name
        for other in plugins.registry().cards()
        if isinstance(other, GeneratorCard) and other.tokenizer == card.name
    ]
    raise UserError(
        f"'{name}' generates no images: it is a tokenizer.",
        hint=f"Generators that use it: {', '.join(users)}."
        if users
        else "'dar-bench models' lists the generators.",
    )


def load_tokenizer(card: TokenizerCard, options: LoadOptions, weights: Path | None = None) -> LoadedTokenizer:
    """Load a tokenizer.

    Args:
        card: which.
        options: device and precision.
        weights: a safetensors file to use instead of the card's own.

    Raises:
        UserError: the weights are not on this machine, damaged, or of another model.
    """
    digest = _hash(card, weights)
    model = cast("Tokenizer", plugins.load_model(card.name, options, weights))
    return LoadedTokenizer(card=card, model=model, weights_sha256=digest, options=options)


def load_generator(card: GeneratorCard, options: LoadOptions, weights: Path | None = None) -> LoadedGenerator:
    """Load a generator with its tokenizer.

    Args:
        card: which.
        options: device, precision, compilation.
        weights: a safetensors file to use instead of the card's own; the tokenizer keeps its own.

    Raises:
        UserError: weights of either are not on this machine, damaged, or of another model.
    """
    digest = _hash(card, weights)
    needed = tokenizer_card(card.tokenizer) if card.tokenizer else None
    tokenizer_digest = _hash(needed, None) if needed else ""
    model = cast("Generator", plugins.load_model(card.name, options, weights))
    tokenizer = None
    if needed:
        # Autoregressive generators of the core hold their tokenizer; it is not loaded twice.
        held = getattr(model, "tokenizer", None)
        tokenizer = LoadedTokenizer(
            card=needed,
            model=held if held is not None else cast("Tokenizer", plugins.load_model(needed.name, options)),
            weights_sha256=tokenizer_digest,
            options=options,
        )
    return LoadedGenerator(
        card=card, model=model, weights_sha256=digest, options=options, tokenizer=tokenizer
    )


def _hash(card: Card, weights: Path | None) -> str:
    if weights is not None and not weights.is_file():
        raise UserError(
            f"There is no weights file '{weights}'.", hint="Give the path of a .safetensors file."
        )
    return sha256_file(weights or weights_path(card))
