"""The sizes that decoding and training are measured at, taken from the shipped recipes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from dar_bench_dar.model.config import TokenizerConfig
from dar_bench_dar.train.recipes import TokenizerRecipe, recipe_path

from dar_bench.training.next_token_recipe import NextTokenRecipe
from dar_bench.training.recipe import load_recipe


@dataclass(frozen=True)
class Shape:
    """A tokenizer and its generator: recipes, and what is changed in them."""

    tokenizer: str
    generator: str
    tokenizer_changes: tuple[str, ...] = ()
    generator_changes: tuple[str, ...] = ()


SHAPES = {
    "tiny": Shape("dar-tiny-tokenizer", "dar-tiny"),
    # A quarter of the blocks of every part, for CPUs: the parts keep their proportions, hence the ratios carry over.
    "dar-l/4": Shape(
        "dar-tokenizer",
        "dar-l",
        (
            "model.encoder_depth=2",
            "model.token_decoder_depth=2",
            "model.decoder_depth=3",
            "model.repa_block=2",
        ),
        ("model.depth=6",),
    ),
    "dar-l": Shape("dar-tokenizer", "dar-l"),
}


def tokenizer_recipe(shape: str, *changes: str) -> TokenizerRecipe:
    """Return the recipe of a shape's tokenizer; ``changes`` are ``section.key=value``."""
    chosen = SHAPES[shape]
    return load_recipe(TokenizerRecipe, recipe_path(chosen.tokenizer), [*chosen.tokenizer_changes, *changes])


def generator_recipe(shape: str, *changes: str) -> NextTokenRecipe:
    """Return the recipe of a shape's autoregressive model; ``changes`` are ``section.key=value``."""
    chosen = SHAPES[shape]
    return load_recipe(NextTokenRecipe, recipe_path(chosen.generator), [*chosen.generator_changes, *changes])


def tokenizer_config(recipe: TokenizerRecipe, repa_dim: int = 0) -> TokenizerConfig:
    """Return the sizes of a recipe's tokenizer, by default without the alignment head of the training."""
    return TokenizerConfig(**dataclasses.asdict(recipe.model), repa_dim=repa_dim)
