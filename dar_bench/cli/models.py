"""``dar-bench models``: the zoo, and the card of one model."""

from __future__ import annotations

from pathlib import Path

import click

from dar_bench import options, weights
from dar_bench.api import AutoencoderCard, Card, GeneratorCard, ReportedScore, TokenizerCard
from dar_bench.cli.help import examples
from dar_bench.console import console, note, print_json, print_table
from dar_bench.errors import EXIT_CHECK_FAILED, UserError
from dar_bench.plugins import registry
from dar_bench.zoo import FAMILIES, STANDINGS, ZooEntry, entries, find

_COLUMNS = (
    *(
        "model",
        "family",
        "params",
        "px",
        "tokens",
        "codebook",
        "tokenizer",
        "weights",
        "standing",
        "measured",
    ),
    "reported",
)
_NUMBERS = ("params", "px", "tokens", "codebook", "reported")
_OPTIONAL = ("px", "codebook", "tokenizer", "weights", "tokens", "family")


@click.command(
    epilog=examples(
        "dar-bench models",
        "dar-bench models dar-l",
        "dar-bench models --family 'vanilla AR' --standing 'reported only'",
        "dar-bench models --json",
    )
)
@click.argument("name", required=False)
@click.option("--family", type=click.Choice(FAMILIES), help="Only this group.")
@click.option("--standing", type=click.Choice(STANDINGS), help="Only models of this standing.")
@click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("results"),
    show_default=True,
    help="Folder of the records that tell what was measured.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def models(name: str | None, family: str | None, standing: str | None, results: Path, as_json: bool) -> None:
    """Show the zoo, or the card of the model NAME, without loading anything.

    A model is measured (installed, with a record of a score), installed, or reported only: then no plugin here
    brings it, and its numbers are a paper's.
    """
    found = registry()
    if name is not None:
        _show(name, results, as_json)
        return
    zoo = [
        entry
        for entry in entries(found, results)
        if family in (None, entry.family) and standing in (None, entry.standing)
    ]
    if as_json:
        print_json([entry.facts() for entry in zoo])
    else:
        rows = [_row(entry) for entry in zoo]
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


def _show(name: str, results: Path, as_json: bool) -> None:
    """Print one model: its card, or what is reported of it."""
    entry = find(name, registry(), results)
    if as_json:
        print_json(entry.facts())
        return
    if entry.card is not None:
        _print_card(entry.card)
    else:
        printed = f"{entry.parameters / 1e6:.0f}M, as printed" if entry.parameters else "not printed"
        standing = "reported only: no installed plugin brings this model"
        facts = [("standing", standing), ("family", entry.family), ("parameters", printed)]
        print_table(("", ""), facts, title=entry.name)
    _print_reported(entry.reported)


def _row(entry: ZooEntry) -> list[object]:
    card = entry.card
    tokenizer = card if isinstance(card, TokenizerCard) else entry.tokenizer
    last = entry.measured[-1] if entry.measured else None
    return [
        entry.name,
        entry.family,
        f"{entry.parameters / 1e6:.1f}M" if entry.parameters else None,
        card.image_size if card else None,
        tokenizer.tokens if tokenizer else None,
        tokenizer.codebook_size if tokenizer else None,
        (card.tokenizer or card.autoencoder) if isinstance(card, GeneratorCard) else None,
        weights.status(card) if card else None,
        entry.standing,
        f"{last.score} {last.value:.4g} ({last.n})" if last else None,
        entry.best_reported,
    ]


def _print_card(card: Card) -> None:
    facts: list[tuple[str, object]] = [("summary", card.summary), ("family", card.family)]
    if card.aliases:
        facts.append(("aliases", ", ".join(card.aliases)))
    facts += [("parameters", f"{card.parameters:,}"), ("image size", f"{card.image_size} px")]
    if isinstance(card, TokenizerCard):
        facts += [("tokens", card.tokens), ("codebook", card.codebook_size), ("groups", card.groups)]
    if isinstance(card, AutoencoderCard):
        side = card.image_size // card.factor
        facts += [("latents", f"{card.latent_channels} x {side} x {side}")]
    if isinstance(card, GeneratorCard):
        facts += [("classes", card.num_classes)]
        facts += [("tokenizer", card.tokenizer)] if card.tokenizer else []
        facts += [("autoencoder", card.autoencoder)] if card.autoencoder else []
        facts += [("compared with", card.reference)] if card.reference else []
    facts += _weights_facts(card)
    print_table(("", ""), facts, title=card.name)
    if card.options:
        rows = [
            (option.name, options.describe(option), option.default, option.help) for option in card.options
        ]
        console.print()
        print_table(("option", "takes", "default", "meaning"), rows, title="Options")


def _print_reported(reported: tuple[ReportedScore, ...]) -> None:
    if not reported:
        return
    reports = [
        (
            report.source,
            report.row,
            ", ".join(f"{name} {value:g}" for name, value in report.scores.items()),
            " ".join(f"{name}={value}" for name, value in report.options.items()),
            report.note,
        )
        for report in reported
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
