"""``dar-bench weights``: get, bring, check and find model weights."""

from __future__ import annotations

from pathlib import Path

import click

from dar_bench import weights as store
from dar_bench.api import Card, GeneratorCard
from dar_bench.cli.groups import SuggestingGroup
from dar_bench.cli.help import examples
from dar_bench.console import note, print_json, print_table
from dar_bench.download import OFFLINE_VARIABLE, without_network
from dar_bench.errors import EXIT_CHECK_FAILED
from dar_bench.features.cards import EXTRACTOR_CARDS
from dar_bench.plugins import registry


@click.group(cls=SuggestingGroup, epilog=examples("dar-bench weights list", "dar-bench weights fetch dar-l"))
def weights() -> None:
    """Fetch, import and verify the weights of models and feature extractors.

    They are kept under $DAR_BENCH_HOME/weights (~/.cache/dar-bench/weights), as safetensors.
    """


@weights.command("list", epilog=examples("dar-bench weights list"))
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_weights(as_json: bool) -> None:
    """List where the weights of every model are."""
    cards = [*registry().cards(), *EXTRACTOR_CARDS.values()]
    if as_json:
        print_json([_facts(card) for card in cards])
        return
    rows = []
    for card in cards:
        size = card.weights.size
        rows.append(
            (card.name, store.status(card), f"{size:,}" if size else "", card.weights.license, _source(card))
        )
    print_table(("model", "weights", "bytes", "licence", "from"), rows, right=("bytes",))


@weights.command(
    epilog=examples(
        "dar-bench weights fetch dar-l",
        "dar-bench weights fetch dar-l --url https://mirror.example/D-AR-L-360K.pt",
    )
)
@click.argument("name")
@click.option("--url", default="", help="Download from this address instead of the published one.")
@click.option("--offline", is_flag=True, help=f"Use no network (also: {OFFLINE_VARIABLE}=1).")
@click.option("--json", "as_json", is_flag=True, help="Print where they are, and whence they came, as JSON.")
def fetch(name: str, url: str, offline: bool, as_json: bool) -> None:
    """Download the published weights of the model NAME and convert them.

    A broken download continues where it stopped. The file must have the published SHA-256; where none is
    published, the first one seen is recorded and demanded from then on.
    """
    card = _card(name)
    with without_network(offline):
        _say_stored(card, store.fetch(card, url=url), as_json)


@weights.command("import", epilog=examples("dar-bench weights import dar-l D-AR-L-360K.pt"))
@click.argument("name")
@click.argument("file", type=click.Path())
@click.option(
    "--trust",
    is_flag=True,
    help="Allow a pickle that runs code of its own, or an Inception network that is not the published one.",
)
@click.option("--json", "as_json", is_flag=True, help="Print where they are, and whence they came, as JSON.")
def import_weights(name: str, file: str, trust: bool, as_json: bool) -> None:
    """Convert FILE, a published checkpoint of the model NAME, and keep it in the store.

    FILE may also be a safetensors file that training wrote.
    """
    card = _card(name)
    _say_stored(card, store.import_file(card, file, trust=trust), as_json)


@weights.command(epilog=examples("dar-bench weights verify", "dar-bench weights verify dar-tiny"))
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.pass_context
def verify(ctx: click.Context, name: str | None, as_json: bool) -> None:
    """Compare the files of NAME, or of every model that is here, with their recorded hashes.

    Exits with 1 when one differs.
    """
    if name is not None:
        cards = [_card(name)]
    else:
        cards = [
            card
            for card in (*registry().cards(), *EXTRACTOR_CARDS.values())
            if store.status(card) in ("bundled", "present")
        ]
    results = [store.verify(card) for card in cards]
    if as_json:
        print_json([{"model": result.name, "ok": result.ok, "detail": result.detail} for result in results])
    else:
        rows = [(result.name, "ok" if result.ok else "DIFFERS", result.detail) for result in results]
        print_table(("model", "", "detail"), rows)
    if not all(result.ok for result in results):
        ctx.exit(EXIT_CHECK_FAILED)


@weights.command(epilog=examples("dar-bench weights path dar-tiny"))
@click.argument("name")
def path(name: str) -> None:
    """Print the path of the safetensors file of the model NAME."""
    click.echo(store.weights_path(_card(name)))


def _card(name: str) -> Card:
    """Return the card of a model, or of a network that features are measured with."""
    return EXTRACTOR_CARDS[name] if name in EXTRACTOR_CARDS else registry().card(name)


def _source(card: Card) -> str:
    return card.weights.bundled or card.weights.url or card.weights.note


def _facts(card: Card) -> dict[str, object]:
    return {
        "model": card.name,
        "status": store.status(card),
        "source": _source(card),
        "bytes": card.weights.size,
        "sha256": card.weights.sha256,
        "license": card.weights.license,
        "provenance": store.provenance(card),
    }


def _say_stored(card: Card, path: Path, as_json: bool) -> None:
    """Print the file of weights that have just come into the store."""
    if as_json:
        print_json({"model": card.name, "file": str(path), "provenance": store.provenance(card)})
    else:
        click.echo(path)
    _mention_decoder(card)


def _mention_decoder(card: Card) -> None:
    """Say when the generator that just arrived cannot run yet for want of its tokenizer or autoencoder."""
    if isinstance(card, GeneratorCard) and (card.tokenizer or card.autoencoder):
        needed = registry().card(card.tokenizer or card.autoencoder)
        if store.status(needed) == "to fetch":
            what = "tokenizer" if card.tokenizer else "autoencoder"
            note(f"'{card.name}' also needs its {what}: dar-bench weights fetch {needed.name}")
