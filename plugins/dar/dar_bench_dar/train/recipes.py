"""What a D-AR recipe may say. The files themselves are in ``recipes/``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from dar_bench.training import recipe_files
from dar_bench.training.images import ImageData
from dar_bench.training.perceptual import Perceptual
from dar_bench.training.recipe import TrainingRecipe, require
from dar_bench.training.recipe_sections import ExportConfig, TokenizerEvaluation

RECIPES = Path(__file__).parent.parent / "recipes"

Alignment = Literal["dinov2-vitb14", "efficientnet-lite0", "none"]


@dataclass(frozen=True, kw_only=True)
class TokenizerModel:
    """Sizes; see ``dar_bench_dar.model.config.TokenizerConfig`` for each."""

    image_size: int = 256
    tokens: int = 256
    groups: int = 8
    codebook_size: int = 16384
    code_dim: int = 8
    width: int = 768
    encoder_depth: int = 8
    token_decoder_depth: int = 8
    patch_size: int = 16
    query_rows: int = 1024
    query_rank: int = 8
    decoder_width: int = 768
    decoder_depth: int = 12
    decoder_patch_size: int = 8
    data_scale: float = 0.6
    beta: float = 2.0
    repa_block: int = 8
    repa_hidden: int = 2048
    gate_init: float = 0.0
    init_std: float = 0.02
    place_init: float = 0.0
    place_sharpness: float = 1.0


@dataclass(frozen=True, kw_only=True)
class TokenizerLosses:
    """Weights of the loss terms (equation 7) and the networks two of them need.

    Attributes:
        codebook, commitment: vector quantisation, over the tokens up to the end of each image's group.
        perceptual, perceptual_weight: distance of the predicted image to the image; LPIPS with VGG as published.
        alignment, alignment_weight: cosine alignment of hidden states with a frozen network (REPA); DINOv2 as
            published.
        feature_size: pixels to which images are resized for ``efficientnet-lite0``.
        ungrouped_steps: for so many steps every flow time sees all tokens, as with one group; 0 as published. A group
            is trained by the few examples whose time falls to it, so a short training learns faster to describe an
            image at all before it learns to do so in order.
        uniformity: weight of a term that keeps each position's latents apart (Wang and Isola, 2020); 0 as published.
            Short trainings need it: before the decoder listens, the commitment term alone pulls all images to one code.
    """

    codebook: float = 1.0
    commitment: float = 0.25
    perceptual: Perceptual = "lpips-vgg"
    perceptual_weight: float = 0.5
    alignment: Alignment = "dinov2-vitb14"
    alignment_weight: float = 0.5
    feature_size: int = 64
    ungrouped_steps: int = 0
    uniformity: float = 0.0

    def check(self) -> None:
        """Refuse values out of range."""
        for key in (
            "codebook",
            "commitment",
            "perceptual_weight",
            "alignment_weight",
            "uniformity",
            "ungrouped_steps",
        ):
            require(getattr(self, key) >= 0, key, getattr(self, key), "0 or more")
        require(self.feature_size >= 32, "feature_size", self.feature_size, "32 or more")


@dataclass(frozen=True, kw_only=True)
class TokenizerRecipe(TrainingRecipe):
    """A recipe of ``dar-bench train tokenizer``."""

    data: ImageData
    model: TokenizerModel = field(default_factory=TokenizerModel)
    loss: TokenizerLosses = field(default_factory=TokenizerLosses)
    evaluation: TokenizerEvaluation = field(default_factory=TokenizerEvaluation)
    export: ExportConfig = field(default_factory=ExportConfig)


def recipe_path(name: str) -> Path:
    """Return the file of a recipe given by its shipped name or as a path."""
    return recipe_files.recipe_path(name, RECIPES)
