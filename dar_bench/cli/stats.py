"""``dar-bench stats``: reference statistics, published and of one's own."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from dar_bench.cli.groups import SuggestingGroup
from dar_bench.cli.help import examples


@click.group(
    cls=SuggestingGroup,
    epilog=examples(
        "dar-bench stats list",
        "dar-bench stats fetch adm-imagenet256",
        "dar-bench stats build emoji64:train --out emoji64-train.npz",
    ),
)
def stats() -> None:
    """List, fetch and build the references that scores are measured against.

    They serve as REFERENCE of 'dar-bench eval images' and '--reference' of 'dar-bench eval gfid', by name or
    by file.
    """


@stats.command("list", epilog=examples("dar-bench stats list", "dar-bench stats list --json"))
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_references(as_json: bool) -> None:
    """List the known references, and which of them are on this machine."""
    from dar_bench.console import print_json, print_table
    from dar_bench.references.cards import cards, state

    if as_json:
        print_json([{**asdict(card), "state": state(card)} for card in cards().values()])
        return
    rows = [(card.name, state(card), card.size, card.role, card.summary) for card in cards().values()]
    print_table(("reference", "state", "px", "for", "what"), rows, right=("px",), optional=("what",))


@stats.command(epilog=examples("dar-bench stats show adm-imagenet256"))
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def show(name: str, as_json: bool) -> None:
    """Show the card NAME, or what a file of statistics says of itself."""
    from dar_bench.console import print_json, print_table
    from dar_bench.references.describing import describe

    facts = describe(name)
    if as_json:
        print_json(facts)
        return
    rows = [
        (f"{key}.{inner}" if inner else key, text)
        for key, value in facts.items()
        for inner, text in (value.items() if isinstance(value, dict) else [("", value)])
    ]
    print_table(("field", "value"), rows, title=name)


@stats.command(epilog=examples("dar-bench stats fetch adm-imagenet256"))
@click.argument("name")
@click.option("--url", default="", help="Download from this address instead of the published one.")
@click.option("--offline", is_flag=True, help="Use no network (also: DAR_BENCH_OFFLINE=1).")
@click.option("--json", "as_json", is_flag=True, help="Print the file and its hash as JSON.")
def fetch(name: str, url: str, offline: bool, as_json: bool) -> None:
    """Download the published reference NAME; a broken download continues where it stopped.

    Where no hash is published, the one of the first download is recorded and demanded from then on.
    """
    from dar_bench.console import console, print_json
    from dar_bench.download import without_network
    from dar_bench.references.cards import fetch_reference, find_card

    with without_network(offline):
        fetched = fetch_reference(find_card(name), url=url)
    if as_json:
        facts = {"sha256": fetched.sha256, "trusted_first": fetched.trusted_first}
        print_json({"reference": name, "file": str(fetched.path), **facts})
        return
    console.print(f"{name}: {fetched.path}")
    remark = "recorded: no hash is published" if fetched.trusted_first else "as known"
    console.print(f"sha256 {fetched.sha256} ({remark})")


@stats.command(
    epilog=examples(
        "dar-bench stats build emoji64:train --out emoji64-train.npz",
        "dar-bench stats build imagenet/train --crop 256 --evaluator native --out imagenet256.npz",
    )
)
@click.argument("data")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The .npz file to write."
)
@click.option(
    "--evaluator", help="Whose features.  [default: native where its weights are here, else embedded]"
)
@click.option("--crop", type=click.IntRange(min=1), metavar="SIZE", help="Centre-crop to SIZE pixels first.")
@click.option("--limit", type=click.IntRange(min=2), help="Take so many images, spread evenly.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def build(
    data: str,
    out: Path,
    evaluator: str | None,
    crop: int | None,
    limit: int | None,
    device: str,
    as_json: bool,
) -> None:
    """Compute mean and covariance of the features of DATA, and write them to a file.

    The file works on the reference side of every score that needs no images (FD, sFID). Killed, the same
    command goes on where it was.
    """
    from dar_bench.console import console, print_json, progress
    from dar_bench.data import open_source
    from dar_bench.data.subset import spread
    from dar_bench.devices import choose_device
    from dar_bench.evaluation.extraction import as_they_are, cropped
    from dar_bench.evaluators.names import load_evaluator, named_evaluators
    from dar_bench.references.building import build_statistics

    source = spread(open_source(data), limit)
    images = as_they_are(source) if crop is None else cropped(source, crop)
    (named,) = named_evaluators((evaluator,) if evaluator else ())
    extractor = load_evaluator(named, choose_device(device)).extractor
    with progress(f"Reading {data}", images.count) as bar:
        about = build_statistics(
            images,
            extractor,
            out,
            crop=f"center-crop-{crop}" if crop else "as they are",
            on_images=bar.advance,
        )
    if as_json:
        print_json({**asdict(about), "file": str(out)})
        return
    console.print(f"{about.count} images of {about.images}, features of {about.extractor}: wrote {out}")
