"""Distances of every class by itself, from the same stored features as all other scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dar_bench.evaluation.extraction import OnImages, as_they_are, cropped, stored_features
from dar_bench.metrics.per_class import MINIMUM, PerClassDistances, per_class_distances

if TYPE_CHECKING:
    from dar_bench.data import ImageSource
    from dar_bench.features.base import Extractor, Features


def measure_classes(
    reference: ImageSource,
    samples: ImageSource,
    extractor: Extractor,
    *,
    crop: int | None = None,
    minimum: int = MINIMUM,
    on_images: OnImages = lambda count: None,
) -> PerClassDistances:
    """Return the Frechet distance of every class that both sides have images enough of.

    Args:
        reference, samples: labelled images; a label means the same class on both sides.
        extractor: in whose features.
        crop: centre-crop the images of both sides to this side in pixels.
        minimum: fewest images of a class on either side.
        on_images: told how many images were done.

    Raises:
        UserError: images without labels, no class with images enough, or an image that cannot be read.
    """
    drawn = _features(samples, extractor, crop, on_images)
    fixed = _features(reference, extractor, crop, on_images)
    return per_class_distances(fixed.pool, reference.labels(), drawn.pool, samples.labels(), minimum=minimum)


def _features(source: ImageSource, extractor: Extractor, crop: int | None, on_images: OnImages) -> Features:
    images = as_they_are(source) if crop is None else cropped(source, crop)
    return stored_features([extractor], images, on_images=on_images)[extractor.fingerprint()]
