"""Models of the zoo with what a record must say of them: the kind is checked, the weights are hashed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from dar_bench import plugins
from dar_bench.api import AutoencoderCard, Card, GeneratorCard, LoadOptions, TokenizerCard
from dar_bench.errors import UserError
from dar_bench.hashing import sha256_file
from dar_bench.weights import weights_path

if TYPE_CHECKING:
    from dar_bench.api import Autoencoder, Generator, Tokenizer


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
class LoadedAutoencoder:
    """An autoencoder on its device.

    Attributes:
        card: its card.
        model: the autoencoder.
        weights_sha256: hash of the weights file it was filled from.
        options: how it was loaded.
    """

    card: AutoencoderCard
    model: Autoencoder
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
        autoencoder: its autoencoder, where it makes latents.
    """

    card: GeneratorCard
    model: Generator
    weights_sha256: str
    options: LoadOptions
    tokenizer: LoadedTokenizer | None = None
    autoencoder: LoadedAutoencoder | None = None

    @property
    def decoder(self) -> LoadedTokenizer | LoadedAutoencoder | None:
        """What turns this generator's codes or latents into images; ``None`` where it makes images itself."""
        return self.tokenizer or self.autoencoder


LoadedCodec = LoadedTokenizer | LoadedAutoencoder
"""What takes images apart and puts them together again: through codes, or through latents."""


def codec_card(name: str) -> TokenizerCard | AutoencoderCard:
    """Return the card of a tokenizer or an autoencoder by name, alias or export folder.

    Raises:
        UserError: the name is unknown, or a generator's.
    """
    card = plugins.registry().card(name)
    if isinstance(card, AutoencoderCard | TokenizerCard):
        return card
    needed = (card.tokenizer or card.autoencoder) if isinstance(card, GeneratorCard) else ""
    kind = "tokenizer" if isinstance(card, GeneratorCard) and card.tokenizer else "autoencoder"
    raise UserError(
        f"'{name}' is no tokenizer.",
        why="It makes images of labels, it does not take images apart.",
        hint=f"Its {kind} is '{needed}'." if needed else "'dar-bench models' lists the tokenizers.",
    )


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
        why="Its latents are no codes of a codebook."
        if isinstance(card, AutoencoderCard)
        else "It makes images of labels, not codes of images.",
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
        if isinstance(other, GeneratorCard) and card.name in (other.tokenizer, other.autoencoder)
    ]
    kind = "an autoencoder" if isinstance(card, AutoencoderCard) else "a tokenizer"
    raise UserError(
        f"'{name}' generates no images: it is {kind}.",
        hint=f"Generators that use it: {', '.join(users)}."
        if users
        else "'dar-bench models' lists the generators.",
    )


def autoencoder_card(name: str) -> AutoencoderCard:
    """Return the card of an autoencoder by name, alias or export folder.

    Raises:
        UserError: the name is unknown, or a tokenizer's or a generator's.
    """
    card = plugins.registry().card(name)
    if isinstance(card, AutoencoderCard):
        return card
    raise UserError(
        f"'{name}' is no autoencoder.",
        why="Latents of images come from a continuous autoencoder.",
        hint="'dar-bench models' lists the autoencoders.",
    )


def load_codec(
    card: TokenizerCard | AutoencoderCard, options: LoadOptions, weights: Path | None = None
) -> LoadedCodec:
    """Load a tokenizer or an autoencoder; arguments and errors as for ``load_tokenizer``."""
    if isinstance(card, TokenizerCard):
        return load_tokenizer(card, options, weights)
    digest = _hash(card, weights)
    model = cast("Autoencoder", plugins.load_model(card.name, options, weights))
    return LoadedAutoencoder(card=card, model=model, weights_sha256=digest, options=options)


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
    """Load a generator with its tokenizer or autoencoder.

    Args:
        card: which.
        options: device, precision, compilation.
        weights: a safetensors file to use instead of the card's own; what decodes keeps its own.

    Raises:
        UserError: weights of either are not on this machine, damaged, or of another model.
    """
    digest = _hash(card, weights)
    if card.autoencoder:
        return _load_with_autoencoder(card, options, weights, digest)
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


def _load_with_autoencoder(
    card: GeneratorCard, options: LoadOptions, weights: Path | None, digest: str
) -> LoadedGenerator:
    needed = autoencoder_card(card.autoencoder)
    needed_digest = _hash(needed, None)
    model = cast("Generator", plugins.load_model(card.name, options, weights))
    held = getattr(model, "autoencoder", None)  # loaded with the generator, as a rule; never twice
    autoencoder = LoadedAutoencoder(
        card=needed,
        model=held if held is not None else cast("Autoencoder", plugins.load_model(needed.name, options)),
        weights_sha256=needed_digest,
        options=options,
    )
    return LoadedGenerator(
        card=card, model=model, weights_sha256=digest, options=options, autoencoder=autoencoder
    )


def _hash(card: Card, weights: Path | None) -> str:
    if weights is not None and not weights.is_file():
        raise UserError(
            f"There is no weights file '{weights}'.", hint="Give the path of a .safetensors file."
        )
    return sha256_file(weights or weights_path(card))
