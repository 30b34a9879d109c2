"""What a recipe of an autoregressive training on a tokenizer's codes may say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from dar_bench.training.recipe import TrainingRecipe, require
from dar_bench.training.recipe_sections import ExportConfig


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
    tokenizer: str
    codes: str = ""
    crops: Literal["ten", "twenty", "flip", "center"] = "ten"
    label_dropout: float = 0.1
    batch_size: int = 64

    def check(self) -> None:
        """Refuse values out of range."""
        require(0 <= self.label_dropout <= 1, "label_dropout", self.label_dropout, "from 0 to 1")
        require(bool(self.train or self.codes), "train", self.train, "given unless codes is")
        require(self.batch_size >= 1, "batch_size", self.batch_size, "1 or more")


@dataclass(frozen=True, kw_only=True)
class DecoderModel:
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
class SampleEvaluation:
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
class NextTokenRecipe(TrainingRecipe):
    """A recipe of an autoregressive training."""

    data: CodeData
    model: DecoderModel = field(default_factory=DecoderModel)
    evaluation: SampleEvaluation = field(default_factory=SampleEvaluation)
    export: ExportConfig = field(default_factory=ExportConfig)
