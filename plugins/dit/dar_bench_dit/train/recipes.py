"""What a DiT recipe may say. The files themselves are in ``recipes/``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from dar_bench.training.images import ImageData
from dar_bench.training.recipe import TrainingRecipe, require
from dar_bench.training.recipe_sections import ExportConfig

RECIPES = Path(__file__).parent.parent / "recipes"


@dataclass(frozen=True, kw_only=True)
class DitData(ImageData):
    """The images, their augmentation and their labels.

    Without ``val`` the validation loss is that of ``evaluation.held_out``.

    Attributes:
        label_dropout: share of examples whose class becomes the null class.
    """

    label_dropout: float = 0.1

    def check(self) -> None:
        """Refuse values out of range."""
        super().check()
        require(0 <= self.label_dropout <= 1, "label_dropout", self.label_dropout, "from 0 to 1")


@dataclass(frozen=True, kw_only=True)
class DitModel:
    """What is learned, and the network's sizes.

    Attributes:
        image_size: side of the training images, in pixels.
        autoencoder: whose latents are learned; empty for the pixels themselves.
        pixel_scale: what pixels in [-1, 1] are multiplied by before noise comes to them. Neighbouring pixels say
            much the same, so that noise must be larger to hide what they show together (Chen, arXiv 2301.10972).
        patch_size, width, depth, heads: see ``DiffusionTransformerConfig``.
        num_classes: the label table has one row more, the null class.
    """

    image_size: int = 256
    autoencoder: str = "sd-vae-ft-ema"
    pixel_scale: float = 1.0
    patch_size: int = 2
    width: int = 1152
    depth: int = 28
    heads: int = 16
    num_classes: int = 1000

    def check(self) -> None:
        """Refuse sizes that do not go together."""
        require(self.image_size >= 1, "image_size", self.image_size, "1 or more")
        require(self.pixel_scale > 0, "pixel_scale", self.pixel_scale, "above 0")
        plain = not self.autoencoder or self.pixel_scale == 1
        require(plain, "pixel_scale", self.pixel_scale, "1 for latents, which have the autoencoder's scale")
        require(self.patch_size >= 1, "patch_size", self.patch_size, "1 or more")
        require(self.heads >= 1, "heads", self.heads, "1 or more")
        require(self.depth >= 1, "depth", self.depth, "1 or more")
        multiple = self.width > 0 and self.width % self.heads == 0 and self.width % 4 == 0
        require(multiple, "width", self.width, f"a multiple of 4 and of heads ({self.heads})")
        require(self.num_classes >= 1, "num_classes", self.num_classes, "1 or more")


@dataclass(frozen=True, kw_only=True)
class DitEvaluation:
    """What the periodic evaluation looks at.

    Attributes:
        held_out: share of the images kept from training, for the validation loss, where there is no ``data.val``.
        samples: images drawn for the picture log.
        cfg: guidance schedule of those images.
        steps: their diffusion steps, without randomness (DDIM).
    """

    held_out: float = 0.0
    samples: int = 18
    cfg: str = "2.0"
    steps: int = 50

    def check(self) -> None:
        """Refuse values out of range."""
        require(0 <= self.held_out < 1, "held_out", self.held_out, "from 0 to below 1")
        require(self.samples >= 0, "samples", self.samples, "0 or more")
        require(1 <= self.steps <= 1000, "steps", self.steps, "from 1 to 1000")


@dataclass(frozen=True, kw_only=True)
class DitRecipe(TrainingRecipe):
    """A recipe of ``dar-bench train dit``."""

    data: DitData
    model: DitModel = field(default_factory=DitModel)
    evaluation: DitEvaluation = field(default_factory=DitEvaluation)
    export: ExportConfig = field(default_factory=ExportConfig)
