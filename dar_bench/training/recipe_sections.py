"""Sections that the recipes of several tasks share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dar_bench.training.recipe import require


@dataclass(frozen=True, kw_only=True)
class TokenizerEvaluation:
    """The periodic evaluation of a tokenizer on held-out images.

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
