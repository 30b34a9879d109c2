"""What a D-AR recipe may say. The files themselves are in ``recipes/``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from dar_bench.errors import UserError, unknown_name
from dar_bench.training.recipe import TrainingRecipe, require

RECIPES = Path(__file__).parent.parent / "recipes"

Perceptual = Literal["lpips-vgg", "efficientnet-lite0", "none"]
Alignment = Literal["dinov2-vitb14", "efficientnet-lite0", "none"]


@dataclass(frozen=True, kw_only=True)
class ImageData:
    """The images and their augmentation.

    Attributes:
        train: data of the training, anything that ``dar_bench.data.open_source`` reads.
        val: held-out data for the periodic evaluation; empty switches it off.
        crop: ``adm`` resizes the short side at random and crops at random (as published); ``shift`` takes the
            centre crop and moves it by up to ``shift`` pixels over repeated edges, which keeps small images sharp;
            ``center`` takes the centre crop.
        min_scale: smallest side of the ``adm`` crop as a fraction of the short side.
        shift: see ``crop``.
        flip: mirror half of the images.
        in_memory: keep the decoded images in memory, for sets of a few thousand small images.
    """

    train: str
    val: str = ""
    crop: Literal["adm", "shift", "center"] = "adm"
    min_scale: float = 0.8
    shift: int = 2
    flip: bool = True
    in_memory: bool = False

    def check(self) -> None:
        """Refuse values out of range."""
        require(0 < self.min_scale <= 1, "min_scale", self.min_scale, "above 0 and at most 1")
        require(self.shift >= 0, "shift", self.shift, "0 or more")


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
class TokenizerEvaluation:
    """The periodic evaluation on held-out images.

    Attributes:
        images: how many are reconstructed; 0 takes all.
        batch_size: images at a time.
    """

    images: int = 256
    batch_size: int = 64

    def check(self) -> None:
        """Refuse values out of range."""
        require(self.images >= 0, "images", self.images, "0 (all) or more")
        require(self.batch_size >= 1, "batch_size", self.batch_size, "1 or more")


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """The exported weights.

    Attributes:
        dtype: ``float16`` halves the file; the weights are rounded, and computed with in float32 all the same.
    """

    dtype: Literal["float32", "float16"] = "float32"


@dataclass(frozen=True, kw_only=True)
class TokenizerRecipe(TrainingRecipe):
    """A recipe of ``dar-bench train tokenizer``."""

    data: ImageData
    model: TokenizerModel = field(default_factory=TokenizerModel)
    loss: TokenizerLosses = field(default_factory=TokenizerLosses)
    evaluation: TokenizerEvaluation = field(default_factory=TokenizerEvaluation)
    export: ExportConfig = field(default_factory=ExportConfig)


@dataclass(frozen=True, kw_only=True)
class CodeData:
    """The codes an autoregressive model learns.

    Attributes:
        train: images to tokenize, or empty when ``codes`` is given.
        tokenizer: name of the tokenizer that makes the codes and decodes the samples.
        codes: folder of cached codes from ``dar-bench tokenize``; empty makes one inside the run folder.
        crops: crops cached per image, see ``dar-bench tokenize``.
        label_dropout: share of examples whose class becomes the null class.
        batch_size: images at a time while tokenizing.
    """

    train: str = ""
    tokenizer: str = "dar-tokenizer"
    codes: str = ""
    crops: Literal["ten", "flip", "center"] = "ten"
    label_dropout: float = 0.1
    batch_size: int = 64

    def check(self) -> None:
        """Refuse values out of range."""
        require(0 <= self.label_dropout <= 1, "label_dropout", self.label_dropout, "from 0 to 1")
        require(bool(self.train or self.codes), "train", self.train, "given unless codes is")
        require(self.batch_size >= 1, "batch_size", self.batch_size, "1 or more")


@dataclass(frozen=True, kw_only=True)
class ARModel:
    """Sizes of the Llama; tokens per image and codebook size come from the tokenizer."""

    depth: int = 24
    heads: int = 16
    width: int = 1024
    num_classes: int = 1000
    dropout: float = 0.1

    def check(self) -> None:
        """Refuse values out of range."""
        require(self.width % self.heads == 0, "width", self.width, f"a multiple of heads ({self.heads})")
        require(0 <= self.dropout < 1, "dropout", self.dropout, "from 0 to below 1")
        require(self.num_classes >= 1, "num_classes", self.num_classes, "1 or more")


@dataclass(frozen=True, kw_only=True)
class AREvaluation:
    """What the periodic evaluation looks at.

    Attributes:
        held_out: share of the images kept from training, for the validation loss.
        samples: images drawn for the picture log.
        cfg: guidance schedule of those images.
    """

    held_out: float = 0.0
    samples: int = 18
    cfg: str = "2.0"

    def check(self) -> None:
        """Refuse values out of range."""
        require(0 <= self.held_out < 1, "held_out", self.held_out, "from 0 to below 1")
        require(self.samples >= 0, "samples", self.samples, "0 or more")


@dataclass(frozen=True, kw_only=True)
class ARRecipe(TrainingRecipe):
    """A recipe of ``dar-bench train ar``."""

    data: CodeData
    model: ARModel = field(default_factory=ARModel)
    evaluation: AREvaluation = field(default_factory=AREvaluation)
    export: ExportConfig = field(default_factory=ExportConfig)


def recipe_path(name: str) -> Path:
    """Return the file of a recipe given by its shipped name or as a path.

    Raises:
        UserError: no such recipe.
    """
    path = Path(name)
    if path.suffix == ".toml":
        if not path.is_file():
            raise UserError(
                f"There is no recipe file '{name}'.", hint="Give a .toml file or a shipped recipe's name."
            )
        return path
    shipped = {file.stem: file for file in sorted(RECIPES.glob("*.toml"))}
    if name not in shipped:
        raise unknown_name("recipe", name, shipped, hint="Or give the path of a .toml file.")
    return shipped[name]
