"""``dar-bench models``: the zoo, and the card of one model."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from dar_bench import options, weights
from dar_bench.api import Card, GeneratorCard, TokenizerCard
from dar_bench.cli.help import examples
from dar_bench.console import console, note, print_json, print_table
from dar_bench.errors import EXIT_CHECK_FAILED, UserError
from dar_bench.plugins import Registry, registry

_COLUMNS = ("model", "family", "params", "px", "tokens", "codebook", "tokenizer", "weights", "reported")
_NUMBERS = ("params", "px", "tokens", "codebook", "reported")
_OPTIONAL = ("family", "tokenizer", "codebook", "px")


@click.command(epilog=examples("dar-bench models", "dar-bench models dar-l", "dar-bench models --json"))
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def models(name: str | None, as_json: bool) -> None:
    """Show the zoo, or the card of the model NAME, without loading anything."""
    found = registry()
    if name is not None:
        card = found.card(name)
        if as_json:
            print_json(card_facts(card))
        else:
            _print_card(card)
        return
    if as_json:
        print_json([card_facts(card) for card in found.cards()])
    else:
        rows = [_row(card, found) for card in found.cards()]
        print_table(_COLUMNS, rows, title="The zoo", right=_NUMBERS, optional=_OPTIONAL)
    for status in found.plugins:
        if status.error:
            note(f"The plugin '{status.name}' ({status.distribution}) did not load: {status.error}")
    conflicts = found.conflicts()
    if conflicts:
        raise UserError(
            f"{len(conflicts)} name{'s are' if len(conflicts) > 1 else ' is'} claimed more than once.",
            why="\n  ".join(conflicts),
            hint="Uninstall one of the distributions; until then these names cannot be used.",
            exit_code=EXIT_CHECK_FAILED,
        )


def card_facts(card: Card) -> dict[str, Any]:
    """Return a card as JSON values, with its kind and where its weights are."""
    kind = "tokenizer" if isinstance(card, TokenizerCard) else "generator"
    facts = {"kind": kind, **asdict(card), "weights_status": weights.status(card)}
    facts["config"] = {key: value if _is_plain(value) else str(value) for key, value in card.config.items()}
    return facts


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str | list | tuple)


def _row(card: Card, found: Registry) -> list[object]:
    tokenizer = card if isinstance(card, TokenizerCard) else _tokenizer_of(card, found)
    return [
        card.name,
        card.family,
        f"{card.parameters / 1e6:.1f}M",
        card.image_size,
        tokenizer.tokens if tokenizer else None,
        tokenizer.codebook_size if tokenizer else None,
        card.tokenizer if isinstance(card, GeneratorCard) else None,
        weights.status(card),
        _reported(card),
    ]


def _tokenizer_of(card: Card, found: Registry) -> TokenizerCard | None:
    """Return the tokenizer that a generator names, or ``None`` where it names none that is installed."""
    names = {other.name: other for other in found.cards()}
    tokenizer = names.get(card.tokenizer) if isinstance(card, GeneratorCard) else None
    return tokenizer if isinstance(tokenizer, TokenizerCard) else None


def _reported(card: Card) -> str:
    """Return the best reported FID (generators: gFID, tokenizers: rFID), named as the paper names it."""
    scores = [
        (value, name)
        for report in card.reported
        for name, value in report.scores.items()
        if name.lower() in ("fid", "gfid", "rfid")
    ]
    if not scores:
        return ""
    value, name = min(scores)
    return f"{name} {value:g}"


def _print_card(card: Card) -> None:
    facts: list[tuple[str, object]] = [("summary", card.summary), ("family", card.family)]
    if card.aliases:
        facts.append(("aliases", ", ".join(card.aliases)))
    facts += [("parameters", f"{card.parameters:,}"), ("image size", f"{card.image_size} px")]
    if isinstance(card, TokenizerCard):
        facts += [("tokens", card.tokens), ("codebook", card.codebook_size), ("groups", card.groups)]
    if isinstance(card, GeneratorCard):
        facts += [("classes", card.num_classes)]
        facts += [("tokenizer", card.tokenizer)] if card.tokenizer else []
        facts += [("compared with", card.reference)] if card.reference else []
    facts += _weights_facts(card)
    print_table(("", ""), facts, title=card.name)
    if card.options:
        rows = [
            (option.name, options.describe(option), option.default, option.help) for option in card.options
        ]
        console.print()
        print_table(("option", "takes", "default", "meaning"), rows, title="Options")
    if card.reported:
        reports = [
            (
                report.source,
                report.row,
                ", ".join(f"{name} {value:g}" for name, value in report.scores.items()),
                " ".join(f"{name}={value}" for name, value in report.options.items()),
                report.note,
            )
            for report in card.reported
        ]
        console.print()
        print_table(("source", "row", "scores", "made with", "note"), reports, title="Reported scores")


def _weights_facts(card: Card) -> list[tuple[str, object]]:
    file = card.weights
    facts: list[tuple[str, object]] = [("weights", f"{weights.status(card)}: {file.filename}")]
    facts += [("from", file.url)] if file.url else []
    facts += [("bytes", f"{file.size:,}")] if file.size else []
    facts += [("sha256", file.sha256)] if file.sha256 else []
    facts += [("licence", file.license)] if file.license else []
    facts += [("note", file.note)] if file.note else []
    return facts
