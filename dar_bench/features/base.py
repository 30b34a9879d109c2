"""What every feature extractor promises, and the features it returns.

Shapes: n images, D pooled features, C classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from dar_bench.errors import UserError

if TYPE_CHECKING:
    import torch

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Features:
    """Features of a set of images, in the order of the images.

    Attributes:
        pool: float32 (n, D), the pooled features that distances are measured in.
        probabilities: float32 (n, C), class probabilities of the extractor's own classifier, rows summing
            to 1; ``None`` for extractors that have no classifier.
        extractor: name of the extractor, as printed in score names (``FD[efficientnet-lite0]``).
        fingerprint: ``Extractor.fingerprint()``; features of different fingerprints are never compared.
    """

    pool: FloatArray
    probabilities: FloatArray | None
    extractor: str
    fingerprint: str

    def __post_init__(self) -> None:
        if self.pool.ndim != 2:
            raise ValueError(f"pooled features must be (n, D), got shape {self.pool.shape}")
        if self.probabilities is not None and len(self.probabilities) != len(self.pool):
            raise ValueError(f"{len(self.pool)} feature rows but {len(self.probabilities)} probability rows")

    def __len__(self) -> int:
        return len(self.pool)

    def take(self, rows: npt.NDArray[np.integer] | slice) -> Features:
        """Return the features of some images, by row index or slice."""
        probabilities = None if self.probabilities is None else self.probabilities[rows]
        return Features(
            pool=self.pool[rows],
            probabilities=probabilities,
            extractor=self.extractor,
            fingerprint=self.fingerprint,
        )


@runtime_checkable
class Extractor(Protocol):
    """Turns images into features. Plugins register theirs under ``Plugin.extractors``.

    An extractor's result for one image depends on that image alone: not on the batch it came in.
    """

    name: str

    def fingerprint(self) -> str:
        """Return what fixes the features: the weights' sha256 and the preprocessing, in one string.

        Two extractors with equal fingerprints return the same features up to the rounding of the device;
        the string is part of every record and the key of stored features, so it must change whenever a
        number could.
        """
        ...

    def extract(self, images: torch.Tensor) -> Features:
        """Return the features of ``images``, uint8 (n, 3, H, W) with values 0 to 255."""
        ...


def concatenate(parts: Sequence[Features]) -> Features:
    """Join features of one extractor, in order.

    Raises:
        UserError: there is nothing to join, or the parts come from different extractors.
    """
    if not parts:
        raise UserError("No features: the image set is empty.", hint="Give at least two images.")
    fingerprints = {part.fingerprint for part in parts}
    if len(fingerprints) > 1:
        raise UserError(
            "Features of different extractors cannot be joined.",
            why=f"Found: {', '.join(sorted(fingerprints))}.",
        )
    probabilities = [part.probabilities for part in parts if part.probabilities is not None]
    if probabilities and len(probabilities) != len(parts):
        raise ValueError("some parts have class probabilities and some have none")
    return Features(
        pool=np.concatenate([part.pool for part in parts]),
        probabilities=np.concatenate(probabilities) if probabilities else None,
        extractor=parts[0].extractor,
        fingerprint=parts[0].fingerprint,
    )


def extract_all(extractor: Extractor, batches: Iterable[torch.Tensor]) -> Features:
    """Return the features of a stream of image batches, each uint8 (b, 3, H, W)."""
    return concatenate([extractor.extract(batch) for batch in batches])
