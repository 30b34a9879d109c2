"""What an evaluator is: one extractor, metrics of its features, and the rules between them, under one name.

The flow is the same for all of them: both sides become features (or, for a reference, published statistics), and
an evaluator turns two sides into scores. It never sees an image, so one pass over the images serves every
evaluator that shares an extractor, and stored features serve all.

Shapes: n images, D pooled features, S spatial features, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from dar_bench.features.base import Extractor, Features
    from dar_bench.metrics.moments import Gaussian
    from dar_bench.results.record import Score


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """The choices that make two numbers of the same name differ, field by field, as they are printed.

    Attributes:
        evaluator: its name and, where it has some, its mode (``native:adm``).
        extractor: name and beginning of the weights' hash.
        resize: how images come to the network's size (``tf1-bilinear-299``, ``pil-bicubic-299``).
        rounding: what happens to values between resizing and the network (``float``, ``uint8``).
        layer: the features that the distance is measured in (``pool_3``).
        neighbours: k, comparison and precision of precision and recall; empty where it has none.
        splits: how the inception score is split and ordered; empty where it has none.
        dtype: of statistics and distances.
        trusted: ``False`` where the weights are not the published ones: every score must say so.
    """

    evaluator: str
    extractor: str
    resize: str
    rounding: str
    layer: str
    neighbours: str = ""
    splits: str = ""
    dtype: str = ""
    trusted: bool = True


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side of a comparison: features of its images, statistics, or both.

    A published reference has statistics of all of its images and the images of some (ADM's batches: statistics
    for FID and sFID, 10,000 images for precision and recall). Where ``statistics`` holds a key, it is used in
    place of the moments of ``features``.

    Attributes:
        name: what the user called it.
        fingerprint: of its content, and of how its images were cropped.
        features: of its images; ``None`` where only statistics are there.
        statistics: ``pool`` and ``spatial`` to their moments.
        count: images that the statistics are of, where there are some, else rows of the features.
    """

    name: str
    fingerprint: str
    features: Features | None
    statistics: Mapping[str, Gaussian] = field(default_factory=dict)
    count: int


@runtime_checkable
class Evaluator(Protocol):
    """Turns two sides into scores. Plugins register theirs under ``Plugin.evaluators``.

    Registered as ``name: "module:attribute"``; the attribute is called as ``attribute(device)``.
    """

    name: str
    extractor: Extractor

    def fingerprint(self) -> Fingerprint:
        """Return the choices that this evaluator makes."""
        ...

    def score_generation(self, reference: Side, samples: Side, *, seed: int = 0) -> list[Score]:
        """Score samples against a reference.

        Scores that the reference cannot give (precision from statistics alone) are left out.

        Raises:
            UserError: too few images, values that are not finite, or sides of another extractor.
        """
        ...

    def score_reconstruction(self, originals: Side, reconstructions: Side) -> list[Score]:
        """Score reconstructions against their originals, row i of both of the same image (rFID)."""
        ...
