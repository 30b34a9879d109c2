"""What every feature extractor promises, and the features it returns.

Shapes: n images, D pooled features, C classes.
"""

from __future__ import annotations

from collections.abc import Iterable
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
        spatial: float32 (n, S), features that keep some of the place in the image (sFID's 2023 numbers of
            ``mixed_6/conv``); ``None`` for extractors that have none.
    """

    pool: FloatArray
    probabilities: FloatArray | None
    extractor: str
    fingerprint: str
    spatial: FloatArray | None = None

    def __post_init__(self) -> None:
        if self.pool.ndim != 2:
            raise ValueError(f"pooled features must be (n, D), got shape {self.pool.shape}")
        if self.probabilities is not None and len(self.probabilities) != len(self.pool):
            raise ValueError(f"{len(self.pool)} feature rows but {len(self.probabilities)} probability rows")
        if self.spatial is not None and len(self.spatial) != len(self.pool):
            raise ValueError(f"{len(self.pool)} feature rows but {len(self.spatial)} spatial rows")

    def __len__(self) -> int:
        return len(self.pool)

    def take(self, rows: npt.NDArray[np.integer] | slice) -> Features:
        """Return the features of some images, by row index or slice."""
        probabilities = None if self.probabilities is None else self.probabilities[rows]
        spatial = None if self.spatial is None else self.spatial[rows]
        return Features(
            pool=self.pool[rows],
            probabilities=probabilities,
            extractor=self.extractor,
            fingerprint=self.fingerprint,
            spatial=spatial,
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


class FeatureParts:
    """Features of one extractor as they come, joined at the end without holding everything twice."""

    def __init__(self) -> None:
        self._arrays: dict[str, list[FloatArray]] = {"pool": [], "probabilities": [], "spatial": []}
        self._extractor = ""
        self._fingerprint: str | None = None

    def add(self, part: Features) -> None:
        """Take the next features.

        Raises:
            UserError: they come from another extractor than those before.
        """
        if self._fingerprint not in (None, part.fingerprint):
            raise UserError(
                "Features of different extractors cannot be joined.",
                why=f"Found: {self._fingerprint}, {part.fingerprint}.",
            )
        self._extractor, self._fingerprint = part.extractor, part.fingerprint
        for name, arrays in self._arrays.items():
            values = getattr(part, name)
            if values is not None:
                arrays.append(values)

    def join(self) -> Features:
        """Return all of them, in order, and forget them.

        Raises:
            UserError: there are none.
        """
        if self._fingerprint is None:
            raise UserError("No features: the image set is empty.", hint="Give at least two images.")
        counts = {name: len(arrays) for name, arrays in self._arrays.items()}
        for name in ("probabilities", "spatial"):
            if counts[name] not in (0, counts["pool"]):
                raise ValueError(f"some parts have {name} and some have none")
        joined: dict[str, FloatArray | None] = {}
        for name, arrays in self._arrays.items():
            joined[name] = np.concatenate(arrays) if arrays else None
            arrays.clear()
        pool = joined["pool"]
        if pool is None:
            raise ValueError("features without pooled features")
        return Features(
            pool=pool,
            probabilities=joined["probabilities"],
            spatial=joined["spatial"],
            extractor=self._extractor,
            fingerprint=self._fingerprint,
        )


def concatenate(parts: Iterable[Features]) -> Features:
    """Join features of one extractor, in order.

    Raises:
        UserError: there is nothing to join, or the parts come from different extractors.
    """
    joined = FeatureParts()
    for part in parts:
        joined.add(part)
    return joined.join()


def extract_all(extractor: Extractor, batches: Iterable[torch.Tensor]) -> Features:
    """Return the features of a stream of image batches, each uint8 (b, 3, H, W)."""
    return concatenate(extractor.extract(batch) for batch in batches)
