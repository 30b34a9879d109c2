"""``dar-bench train tokenizer`` and ``dar-bench train ar``."""

from __future__ import annotations

from pathlib import Path

import click

from dar_bench.cli.train_options import code_options, image_options, recipe_changes, run_options


@click.command()
@image_options()
@run_options("dar-tokenizer")
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
    from dar_bench_dar.train.tokenizer import SequentialTokenizerTask

    changes = recipe_changes(overrides, train=data, val=val)
    loaded = load_recipe(TokenizerRecipe, recipe_path(recipe), changes)
    train(SequentialTokenizerTask(loaded), loaded, out, resume=resume)


@click.command()
@code_options()
@run_options("dar-l")
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
    from dar_bench.training.distributed import on_main, start
    from dar_bench.training.loop import train
    from dar_bench.training.next_token_recipe import NextTokenRecipe
    from dar_bench.training.recipe import load_recipe
    from dar_bench.training.run_folder import require_state
    from dar_bench_dar.train.ar import ARTask
    from dar_bench_dar.train.recipes import recipe_path

    changes = recipe_changes(overrides, train=data, codes=codes, tokenizer=tokenizer_name)
    loaded = load_recipe(NextTokenRecipe, recipe_path(recipe), changes)
    # The processes join before the task is made: one of them encodes the images while the others wait.
    device = start(loaded.train).device
    on_main(lambda: require_state(out, resume=resume))  # before the codes are made, which takes time
    train(ARTask(loaded, out, device), loaded, out, resume=resume)
