"""``dar-bench tokenize``: cache the codes of a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from dar_bench.cli.help import examples

if TYPE_CHECKING:
    from dar_bench.api import Tokenizer


@click.command(
    epilog=examples(
        "dar-bench tokenize dar-tiny-tokenizer emoji64:train --out codes/emoji64 --crops flip",
        "dar-bench tokenize dar-tokenizer '/data/imagenet/train-*.parquet' --out codes/in1k --crops ten",
    )
)
@click.argument("tokenizer")
@click.argument("data")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="The cache's folder."
)
@click.option(
    "--crops",
    type=click.Choice(["center", "flip", "ten", "twenty"]),
    default="center",
    show_default=True,
    help="Squares of every image: the centre; it and its mirror image; the ten crops of AR training; "
    "those and ten tighter ones (LlamaGen).",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=32,
    show_default=True,
    help="Squares encoded at once.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
@click.option(
    "--weights",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A safetensors file to use instead of the tokenizer's own weights.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Encode only the first so many images.")
@click.option(
    "--workers",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Processes that read and crop images.",
)
@click.option("--image-column", help="Parquet column of the images, where it is not found by itself.")
@click.option("--label-column", help="Parquet column of the labels, where it is not found by itself.")
@click.option("--overwrite", is_flag=True, help="Replace codes that are in the folder already.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def tokenize(
    tokenizer: str,
    data: str,
    out: Path,
    crops: str,
    batch_size: int,
    device: str,
    weights: Path | None,
    limit: int | None,
    workers: int,
    image_column: str | None,
    label_column: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Encode DATA with TOKENIZER once, so that AR training need not.

    DATA is an image folder, .zip, .npz, .parquet or .tar files (also a quoted glob or x-{000..010}.tar), or
    NAME:SPLIT of a shipped data set. An interrupted run goes on where it stopped when it is started again.
    """
    from dar_bench import plugins
    from dar_bench.console import print_json, print_table, progress
    from dar_bench.data import open_source, tokenization
    from dar_bench.devices import load_options
    from dar_bench.hashing import sha256_file
    from dar_bench.loading import tokenizer_card
    from dar_bench.weights import weights_path

    source = open_source(data, image_column=image_column, label_column=label_column)
    card = tokenizer_card(tokenizer)
    model = cast("Tokenizer", plugins.load_model(card.name, load_options(device), weights))
    images = len(source) if limit is None else min(limit, len(source))
    with progress(f"Encoding {data}", images) as bar:
        cache = tokenization.tokenize(
            model,
            source,
            out,
            weights_sha256=sha256_file(weights or weights_path(card)),
            crops=crops,
            batch_size=batch_size,
            limit=limit,
            workers=workers,
            overwrite=overwrite,
            on_images=bar.advance,
        )
    report = tokenization.describe(cache)
    if as_json:
        print_json({"folder": str(out), "key": vars(cache.key), "complete": cache.complete, **vars(report)})
        return
    print_table(
        ["codes", "value"],
        [
            ["folder", out],
            ["images", f"{report.images} of {cache.expected}"],
            ["crops per image", report.crops],
            ["tokens per crop", report.tokens],
            ["codebook in use", f"{report.used:.1%} of {cache.key.codebook_size}"],
            ["entropy", f"{report.entropy:.2f} of {report.entropy_limit:.2f} bits"],
        ],
    )
