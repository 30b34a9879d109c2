"""What a LlamaGen tokenizer recipe may say. The files themselves are in ``recipes/``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from dar_bench.training import recipe_files
from dar_bench.training.images import ImageData
from dar_bench.training.perceptual import Perceptual
from dar_bench.training.recipe import OptimizerConfig, TrainingRecipe, require
from dar_bench.training.recipe_sections import ExportConfig, TokenizerEvaluation

RECIPES = Path(__file__).parent.parent / "recipes"


@dataclass(frozen=True, kw_only=True)
class TokenizerModel:
    """Sizes; see ``dar_bench_llamagen.model.tokenizer.TokenizerConfig`` for each."""

    image_size: int = 256
    codebook_size: int = 16384
    code_dim: int = 8
    width: int = 128
    multipliers: tuple[int, ...] = (1, 1, 2, 2, 4)
    blocks: int = 2
    latent: int = 256


@dataclass(frozen=True, kw_only=True)
class TokenizerLosses:
    """Weights of the loss terms; the defaults are the published ones.

    Attributes:
        reconstruction: mean squared error of pixels in [-1, 1].
        perceptual, perceptual_weight: distance of the reconstruction to the image.
        feature_size: pixels to which images are resized for ``efficientnet-lite0``.
        codebook, commitment: squared distance of unit codes to unit latents, and the other way round.
        entropy: of the codes' soft assignment, see ``dar_bench.training.codebook.assignment_entropy``.
        uniformity: see ``dar_bench.training.codebook.uniformity``; for short trainings.
        adversarial: of the discriminator's verdict, from ``adversarial_start`` steps on.
        adaptive: scale it by the ratio of the gradients at the decoder's last layer.
    """

    reconstruction: float = 1.0
    perceptual: Perceptual = "lpips-vgg"
    perceptual_weight: float = 1.0
    feature_size: int = 64
    codebook: float = 1.0
    commitment: float = 0.25
    entropy: float = 0.0
    uniformity: float = 0.0
    adversarial: float = 0.5
    adversarial_start: int = 20_000
    adaptive: bool = False

    def check(self) -> None:
        """Refuse values out of range."""
        for key in (
            "reconstruction", "perceptual_weight", "codebook", "commitment",
            "entropy", "uniformity", "adversarial", "adversarial_start",
        ):  # fmt: skip
            require(getattr(self, key) >= 0, key, getattr(self, key), "0 or more")
        require(self.feature_size >= 32, "feature_size", self.feature_size, "32 or more")


@dataclass(frozen=True, kw_only=True)
class DiscriminatorModel:
    """The patch discriminator: channels of its first layer, and layers that halve the image."""

    width: int = 64
    layers: int = 3

    def check(self) -> None:
        """Refuse values out of range."""
        require(self.width >= 1, "width", self.width, "1 or more")
        require(self.layers >= 1, "layers", self.layers, "1 or more")


@dataclass(frozen=True, kw_only=True)
class TokenizerRecipe(TrainingRecipe):
    """A recipe of ``dar-bench train llamagen-tokenizer``.

    Attributes:
        discriminator_optimizer: of the discriminator; its learning rate follows ``schedule`` too.
    """

    data: ImageData
    model: TokenizerModel = field(default_factory=TokenizerModel)
    loss: TokenizerLosses = field(default_factory=TokenizerLosses)
    discriminator: DiscriminatorModel = field(default_factory=DiscriminatorModel)
    discriminator_optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(lr=1e-4))
    evaluation: TokenizerEvaluation = field(default_factory=TokenizerEvaluation)
    export: ExportConfig = field(default_factory=ExportConfig)


def recipe_path(name: str) -> Path:
    """Return the file of a recipe given by its shipped name or as a path."""
    return recipe_files.recipe_path(name, RECIPES)
