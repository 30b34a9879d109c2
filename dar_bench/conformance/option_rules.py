"""Rules of the options at work: every one has an effect, their bounds are true, guidance 1 is none."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from dar_bench.api import Option
from dar_bench.conformance.comparing import check_images, refuses, same_images
from dar_bench.conformance.rules import Broken, DoesNotApply, demand, rule
from dar_bench.conformance.subjects import BATCH, CardSubject, GeneratorSubject, TokenizerSubject, keys
from dar_bench.errors import UserError
from dar_bench.options import parse_option

GUIDED = "2.0"
NONSENSE = "no-such-value"

Run = Callable[[dict[str, str]], list[bytes]]
"""From option texts to the bytes of every image that comes of them, previews first."""


@rule("decode-options", "tokenizer")
def decode_options(subject: TokenizerSubject) -> str:
    """Every decoding option changes an image or a preview, and odd values give images or a clear error."""
    return _check(subject, lambda texts: _decoded(subject, texts))


@rule("generate-options", "generator")
def generate_options(subject: GeneratorSubject) -> str:
    """Every option changes an image or a preview, and odd values give images or a clear error."""
    return _check(subject, lambda texts: _generated(subject, texts))


@rule("guidance-one", "generator")
def guidance_one(subject: GeneratorSubject) -> str:
    """Guidance at scale 1 is the conditional model, and another scale is not."""
    names = [option.name for option in subject.card.options if option.type == "schedule"]
    if not names:
        raise DoesNotApply("the card has no guidance schedule")
    found = ""
    for name in names:
        without = subject.final(texts={name: "none"}).images
        one = subject.final(texts={name: "1.0"}).images
        found = same_images(without, one, f"between {name} none and {name} 1.0")
        guided = subject.final(texts={name: GUIDED}).images
        demand(bool((guided != without).any()), f"{name} {GUIDED} gives the images of no guidance")
    return f"{', '.join(names)}: 1.0 and none agree {found}"


def _check(subject: CardSubject, run: Run) -> str:
    options = subject.card.options
    if not options:
        raise DoesNotApply("the card has no options")
    # Some options only matter under guidance, so a guided run is the second thing to compare with.
    guided = {option.name: GUIDED for option in options if option.type == "schedule"}
    grounds = [{}, guided] if guided else [{}]
    before: dict[int, list[bytes]] = {}
    for option in options:
        values = list(_values(option))
        if not values:
            refuses(lambda name=option.name: run({name: NONSENSE}), f"{option.name} {NONSENSE}")  # type: ignore[misc]
            continue
        effect = False
        for text in values:
            for number, ground in enumerate(grounds):
                if effect:
                    break
                if number not in before:
                    before[number] = run(ground)
                try:
                    effect = run({**ground, option.name: text}) != before[number]
                except UserError:
                    continue
                except Broken:
                    raise
                except Exception as error:
                    raise Broken(
                        f"{option.name} {text} raises {type(error).__name__}: {error}; it must give images "
                        "or raise dar_bench.errors.UserError"
                    ) from error
        demand(effect, f"{option.name} has no effect: {', '.join(values)} give the images of the default")
    return f"{len(options)} options have an effect"


def _values(option: Option) -> Iterator[str]:
    """Yield a few values other than the default that a card declares to be good, cheap ones first."""
    if option.type == "schedule":
        yield from ("3.0", "none")
    elif option.type == "bool":
        yield str(not option.default).lower()
    elif option.choices:
        yield from (choice for choice in option.choices if choice != option.default)
    elif option.type in ("int", "float"):
        default = 1 if option.default is None else option.default
        low = option.minimum if option.minimum is not None else default - abs(default) - 1
        for number in (low, (low + default) / 2, default + 1, default * 2, default * 1.5):
            text = str(int(number)) if option.type == "int" else str(float(number))
            if float(text) != option.default and _accepted(option, text):
                yield text


def _accepted(option: Option, text: str) -> bool:
    try:
        parse_option(option, text)
    except UserError:
        return False
    return True


def _decoded(subject: TokenizerSubject, texts: dict[str, str]) -> list[bytes]:
    options = subject.options(**texts)
    images = [subject.tokenizer.decode(subject.codes(), keys(range(BATCH)), options)]
    if subject.card.groups > 1:
        stream = subject.tokenizer.start(keys(range(BATCH)), options)
        stream.push(subject.codes()[:, : subject.card.tokens // 2])
        with contextlib.suppress(UserError):  # too few codes for the first step of this setting
            images.append(stream.preview())
    for batch in images:
        check_images(batch, BATCH, subject.card.image_size, "images")
    return [batch.cpu().numpy().tobytes() for batch in images]


def _generated(subject: GeneratorSubject, texts: dict[str, str]) -> list[bytes]:
    batches = subject.stream(range(2), texts=texts, previews=True)
    for batch in batches:
        check_images(batch.images, 2, subject.card.image_size, "images")
    return [batch.images.cpu().numpy().tobytes() for batch in batches]
