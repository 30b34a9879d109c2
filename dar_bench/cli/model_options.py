"""Options that several commands share: how a model is loaded, and what it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from dar_bench.api import Card

F = TypeVar("F", bound=Callable[..., Any])

# Command-line parameter to the name of the model's option.
_NAMES = {
    "cfg": "cfg",
    "temperature": "temperature",
    "top_k": "top-k",
    "top_p": "top-p",
    "solver": "solver",
    "steps": "steps",
    "tokens": "tokens",
}


def _all(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(command: F) -> F:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


def loading_options(command: F) -> F:
    """Add ``--device --dtype --compile --weights --batch-size --seed``."""
    from dar_bench.devices import PRECISIONS

    return _all(
        click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the run."),
        click.option(
            "--batch-size",
            type=click.IntRange(min=1),
            default=32,
            show_default=True,
            help="Images at a time; changes memory and speed, not the images.",
        ),
        click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1."),
        click.option(
            "--dtype",
            type=click.Choice(PRECISIONS),
            default="float32",
            show_default=True,
            help="What the networks compute in.",
        ),
        click.option("--compile", "compiled", is_flag=True, help="Compile the networks' steps."),
        click.option(
            "--weights",
            type=click.Path(path_type=Path, dir_okay=False),
            help="A safetensors file to use instead of the model's own weights.",
        ),
    )(command)


def guidance_options(command: F) -> F:
    """Add the options of token sampling: ``--cfg --temperature --top-k --top-p``."""
    return _all(
        click.option("--cfg", help="Guidance: none, 1.5, linear:1.1-8.0, cosine:.., power:.., interval:.."),
        click.option("--temperature", help="Of the token distribution; 0 takes the most probable."),
        click.option("--top-k", help="Keep the k most probable tokens; 0 keeps all."),
        click.option("--top-p", help="Keep the most probable tokens up to this mass."),
    )(command)


def decoding_options(command: F) -> F:
    """Add the options of pixel decoding, and ``--option`` for those without a flag."""
    return _all(
        click.option(
            "--solver", help="Of the diffusion steps: euler, adams2, ab2, heun, midpoint; ddpm, ddim."
        ),
        click.option("--steps", help="Diffusion steps: of a full decoding, or of a diffusion model."),
        click.option("--tokens", help="Decode from the first so many tokens."),
        click.option(
            "--option",
            "options",
            multiple=True,
            metavar="NAME=VALUE",
            help="Any other option of the model (see 'dar-bench models NAME'); may be repeated.",
        ),
    )(command)


def model_options(card: Card, given: Mapping[str, Any], extra: Sequence[str]) -> dict[str, Any]:
    """Return the model's options, complete and checked.

    Args:
        card: the model.
        given: values of the flags above by parameter name; ``None`` where not given. Others are left alone.
        extra: the texts of ``--option``.

    Raises:
        UserError: a text without ``=``, an option given twice, or one that the model does not take.
    """
    from dar_bench.errors import UserError
    from dar_bench.options import parse_options

    texts = {
        _NAMES[name]: str(value) for name, value in given.items() if name in _NAMES and value is not None
    }
    for text in extra:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise UserError(
                f"The option '{text}' has no value.",
                hint="Write --option NAME=VALUE; 'dar-bench models MODEL' lists names and values.",
            )
        if name in texts:
            raise UserError(f"The option '{name}' is given twice.", hint="Give it once.")
        texts[name] = value
    return parse_options(card, texts)
