"""``dar-bench train dit``."""

from __future__ import annotations

from pathlib import Path

import click

from dar_bench.cli.train_options import image_options, recipe_changes, run_options


@click.command()
@image_options()
@run_options("dit-xl-2")
def dit(
    recipe: str, data: str | None, val: str | None, out: Path, overrides: tuple[str, ...], resume: bool
) -> None:
    """Train a diffusion transformer.

    DATA is an image folder, Parquet files, webdataset shards (x-{000..010}.tar), or a data set such as emoji64:train.

    \b
    Examples:
      dar-bench train dit --recipe dit-tiny --out runs/dit-tiny
      torchrun --nproc_per_node 8 -m dar_bench train dit --data imagenet/train --out runs/dit-xl-2
    """
    from dar_bench.training.loop import train
    from dar_bench.training.recipe import load_recipe
    from dar_bench.training.recipe_files import recipe_path
    from dar_bench_dit.train.recipes import RECIPES, DitRecipe
    from dar_bench_dit.train.task import DitTask

    changes = recipe_changes(overrides, train=data, val=val)
    loaded = load_recipe(DitRecipe, recipe_path(recipe, RECIPES), changes)
    train(DitTask(loaded), loaded, out, resume=resume)
