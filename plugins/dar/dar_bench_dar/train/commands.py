"""``dar-bench train tokenizer`` and ``dar-bench train ar``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--recipe", default="dar-tokenizer", show_default=True, help="Shipped recipe, or a .toml file.")
@click.option("--data", default=None, help="Training images; replaces the recipe's data.train.")
@click.option("--val", default=None, help="Held-out images; replaces the recipe's data.val.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of the run."
)
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a recipe value; repeatable."
)
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in --out.")
def tokenizer(
    recipe: str, data: str | None, val: str | None, out: Path, overrides: tuple[str, ...], resume: bool
) -> None:
    """Train a D-AR sequential diffusion tokenizer.

    DATA is an image folder, Parquet files, webdataset shards (x-{000..010}.tar), or a data set such as emoji64:train.

    \b
    Examples:
      dar-bench train tokenizer --recipe dar-tiny-tokenizer --out runs/tiny
      torchrun --nproc_per_node 8 -m dar_bench train tokenizer --data imagenet/train --val imagenet/val --out runs/tok
    """
    from dar_bench.training.loop import train
    from dar_bench.training.recipe import load_recipe
    from dar_bench_dar.train.recipes import TokenizerRecipe, recipe_path
    from dar_bench_dar.train.tokenizer import TokenizerTask

    changes = [*_data("data.train", data), *_data("data.val", val), *overrides]
    loaded = load_recipe(TokenizerRecipe, recipe_path(recipe), changes)
    train(TokenizerTask(loaded), loaded, out, resume=resume)


@click.command()
@click.option("--recipe", default="dar-l", show_default=True, help="Shipped recipe, or a .toml file.")
@click.option(
    "--data", default=None, help="Training images, tokenized once; replaces the recipe's data.train."
)
@click.option(
    "--codes", default=None, help="Codes cached by 'dar-bench tokenize'; replaces the recipe's data.codes."
)
@click.option(
    "--tokenizer", "tokenizer_name", default=None, help="A tokenizer's name, or its training's export folder."
)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of the run."
)
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a recipe value; repeatable."
)
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in --out.")
def ar(
    recipe: str,
    data: str | None,
    codes: str | None,
    tokenizer_name: str | None,
    out: Path,
    overrides: tuple[str, ...],
    resume: bool,
) -> None:
    """Train a D-AR autoregressive model on a tokenizer's codes.

    \b
    Examples:
      dar-bench train ar --recipe dar-tiny --tokenizer runs/tiny/export --out runs/tiny-ar
      dar-bench tokenize dar-tokenizer imagenet/train --crops ten --out codes
      dar-bench train ar --recipe dar-l --codes codes --out runs/dar-l
    """
    from dar_bench.training.distributed import start
    from dar_bench.training.loop import train
    from dar_bench.training.recipe import load_recipe
    from dar_bench_dar.train.ar import ARTask
    from dar_bench_dar.train.recipes import ARRecipe, recipe_path

    changes = [
        *_data("data.train", data),
        *_data("data.codes", codes),
        *_data("data.tokenizer", tokenizer_name),
    ]
    loaded = load_recipe(ARRecipe, recipe_path(recipe), [*changes, *overrides])
    # The processes join before the task is made: one of them encodes the images while the others wait.
    device = start(loaded.train).device
    train(ARTask(loaded, out, device), loaded, out, resume=resume)


def _data(key: str, value: str | None) -> list[str]:
    return [] if value is None else [f"{key}={value}"]
