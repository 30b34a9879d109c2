"""``dar-bench train llamagen-tokenizer`` and ``dar-bench train llamagen-ar``."""

from __future__ import annotations

from pathlib import Path

import click

from dar_bench.cli.train_options import code_options, image_options, recipe_changes, run_options


@click.command()
@image_options()
@run_options("llamagen-tokenizer")
def tokenizer(
    recipe: str, data: str | None, val: str | None, out: Path, overrides: tuple[str, ...], resume: bool
) -> None:
    """Train a LlamaGen VQ tokenizer, with a discriminator from a step on.

    DATA is an image folder, Parquet files, webdataset shards (x-{000..010}.tar), or a data set such as emoji64:train.

    \b
    Examples:
      dar-bench train llamagen-tokenizer --recipe llamagen-tiny-tokenizer --out runs/vq
      torchrun --nproc_per_node 8 -m dar_bench train llamagen-tokenizer --data imagenet/train --out runs/vq-16
    """
    from dar_bench.training.loop import train
    from dar_bench.training.recipe import load_recipe
    from dar_bench_llamagen.train.recipes import TokenizerRecipe, recipe_path
    from dar_bench_llamagen.train.tokenizer import VQTokenizerTask

    changes = recipe_changes(overrides, train=data, val=val)
    loaded = load_recipe(TokenizerRecipe, recipe_path(recipe), changes)
    train(VQTokenizerTask(loaded), loaded, out, resume=resume)


@click.command()
@code_options()
@run_options("llamagen-l-384")
def ar(
    recipe: str,
    data: str | None,
    codes: str | None,
    tokenizer_name: str | None,
    out: Path,
    overrides: tuple[str, ...],
    resume: bool,
) -> None:
    """Train a LlamaGen autoregressive model on a tokenizer's codes.

    \b
    Examples:
      dar-bench train llamagen-ar --recipe llamagen-tiny --tokenizer runs/vq/export --out runs/tiny
      dar-bench tokenize llamagen-tokenizer-384 imagenet/train --crops twenty --out codes
      dar-bench train llamagen-ar --recipe llamagen-l-384 --codes codes --out runs/llamagen-l
    """
    from dar_bench.training.distributed import on_main, start
    from dar_bench.training.loop import train
    from dar_bench.training.next_token_recipe import NextTokenRecipe
    from dar_bench.training.recipe import load_recipe
    from dar_bench.training.run_folder import require_state
    from dar_bench_llamagen.train.ar import ARTask
    from dar_bench_llamagen.train.recipes import recipe_path

    changes = recipe_changes(overrides, train=data, codes=codes, tokenizer=tokenizer_name)
    loaded = load_recipe(NextTokenRecipe, recipe_path(recipe), changes)
    # The processes join before the task is made: one of them encodes the images while the others wait.
    device = start(loaded.train).device
    on_main(lambda: require_state(out, resume=resume))  # before the codes are made, which takes time
    train(ARTask(loaded, out, device), loaded, out, resume=resume)
