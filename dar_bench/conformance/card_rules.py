"""Rules of a card: what the zoo shows is complete and fits together."""

from __future__ import annotations

import math
from typing import get_args

from dar_bench.api import AutoencoderCard, Family, GeneratorCard, Option, TokenizerCard
from dar_bench.conformance.bench import decoder_of
from dar_bench.conformance.rules import DoesNotApply, demand, rule
from dar_bench.conformance.subjects import CardSubject
from dar_bench.errors import UserError
from dar_bench.options import parse_option, parse_options


@rule("card-complete", "card")
def card_complete(subject: CardSubject) -> str:
    """The card says all that the zoo shows, within sensible bounds."""
    card = subject.card
    demand(bool(card.summary.strip()), "summary is empty")
    demand("\n" not in card.summary, "summary is longer than one line")
    demand(
        card.family in get_args(Family), f"family '{card.family}' is none of {', '.join(get_args(Family))}"
    )
    demand(
        (card.family == "tokenizer") == isinstance(card, TokenizerCard | AutoencoderCard),
        f"family '{card.family}' on a {type(card).__name__}",
    )
    demand(card.parameters > 0, f"parameters is {card.parameters}")
    demand(card.image_size > 0, f"image_size is {card.image_size}")
    for field in ("load", "count_parameters", "layout"):
        demand(bool(getattr(card, field)), f"{field} is empty")
    if isinstance(card, TokenizerCard):
        demand(
            card.tokens > 0 and card.codebook_size > 1, f"{card.tokens} tokens of {card.codebook_size} codes"
        )
        demand(1 <= card.groups <= card.tokens, f"{card.groups} groups of {card.tokens} tokens")
    if isinstance(card, AutoencoderCard):
        demand(card.latent_channels > 0, f"latent_channels is {card.latent_channels}")
        divides = card.factor > 0 and card.image_size % card.factor == 0
        demand(divides, f"{card.image_size} px do not divide by the factor {card.factor}")
    if isinstance(card, GeneratorCard):
        demand(card.num_classes > 0, f"num_classes is {card.num_classes}")
        named = len(card.class_names)
        demand(named in (0, card.num_classes), f"{named} class_names for {card.num_classes} classes")
    return f"{card.family}, {card.image_size} px"


@rule("weights-declared", "card")
def weights_declared(subject: CardSubject) -> str:
    """The card says where the weights come from and under which licence, or why there are none."""
    file = subject.card.weights
    if not (file.bundled or file.local or file.url):
        demand(bool(file.note), "there are no weights, and weights.note does not say why")
        return "none published, as the note says"
    demand(bool(file.filename), "weights.filename is empty")
    demand(bool(file.license or file.local), "weights.license is empty")
    if file.url:
        demand(file.url.startswith("https://"), f"weights.url is no https address: {file.url}")
    if file.sha256 is not None:
        hexadecimal = len(file.sha256) == 64 and set(file.sha256) <= set("0123456789abcdef")
        demand(hexadecimal, f"weights.sha256 is no lower-case SHA-256: {file.sha256}")
    if file.bundled:
        from dar_bench.weights import verify

        verified = verify(subject.card)
        demand(verified.ok, f"the bundled file is not the one declared: {verified.detail}")
        return verified.detail
    return file.license or "a file of this machine"


@rule("tokenizer-known", "card")
def tokenizer_known(subject: CardSubject) -> str:
    """The tokenizer or autoencoder that a generator names is installed, and is one."""
    card = subject.card
    if not isinstance(card, GeneratorCard) or not (card.tokenizer or card.autoencoder):
        raise DoesNotApply("the card names no tokenizer and no autoencoder")
    demand(not (card.tokenizer and card.autoencoder), "the card names a tokenizer and an autoencoder")
    try:
        needed = decoder_of(card)
    except UserError as error:
        demand(False, str(error))
    if card.tokenizer:
        demand(isinstance(needed, TokenizerCard), f"'{card.tokenizer}' is no tokenizer")
    else:
        demand(isinstance(needed, AutoencoderCard), f"'{card.autoencoder}' is no autoencoder")
    return f"it needs {card.tokenizer or card.autoencoder}"


@rule("options-declared", "card")
def options_declared(subject: CardSubject) -> str:
    """Options have help, bounds that refuse nonsense, and defaults inside their own bounds."""
    card = subject.card
    if not card.options:
        raise DoesNotApply("the card has no options")
    seen: set[str] = set()
    for option in card.options:
        demand(option.name not in seen, f"two options are called {option.name}")
        seen.add(option.name)
        _check_option(option)
    complete = parse_options(card, {})
    demand(set(complete) == seen, f"defaults are not complete: {sorted(seen - set(complete))}")
    try:
        parse_options(card, card.check_options)
    except UserError as error:
        demand(False, f"check_options: {error}")
    return f"{len(card.options)} options: {', '.join(option.name for option in card.options)}"


def _check_option(option: Option) -> None:
    name = option.name
    plain = name.replace("-", "").isalnum() and name == name.lower()
    demand(plain, f"'{name}' is no option name: lower-case words with dashes")
    demand(bool(option.help.strip()), f"{name} has no help")
    if option.type == "int":
        demand(option.minimum is not None, f"{name} has no minimum: any whole number is accepted")
    if option.default is None:
        return
    expected: dict[str, tuple[type, ...]] = {
        "int": (int,),
        "float": (int, float),
        "bool": (bool,),
        "str": (str,),
        "schedule": (str,),
    }
    fits = isinstance(option.default, expected[option.type])
    fits = fits and (option.type == "bool") == isinstance(option.default, bool)
    demand(fits, f"the default of {name}, {option.default!r}, is no {option.type}")
    try:
        parse_option(option, str(option.default))
    except UserError as error:
        demand(False, f"the default of {name} is refused by its own declaration: {error}")


@rule("reported", "card")
def reported(subject: CardSubject) -> str:
    """Reported scores name their source, row and options, and the options are the card's."""
    card = subject.card
    if not card.reported:
        raise DoesNotApply("the card reports no scores")
    for report in card.reported:
        demand(bool(report.source and report.row), f"a reported score lacks source or row: {report}")
        where = f"{report.source}, {report.row}"
        demand(bool(report.scores), f"{where}: no scores")
        finite = all(math.isfinite(value) for value in report.scores.values())
        demand(finite, f"{where}: a score is not finite")
        try:
            parse_options(card, report.options)
        except UserError as error:
            demand(False, f"{where}: {error}")
    return f"{len(card.reported)} rows"
