"""From a stream of images to the features of several extractors, in one pass."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dar_bench.data.prefetch import prefetched
from dar_bench.data.subset import spread
from dar_bench.data.transforms import to_chw
from dar_bench.errors import UserError
from dar_bench.evaluators.base import Evaluator, Side
from dar_bench.features.base import Extractor, FeatureParts, Features
from dar_bench.features.store import SHARD, FeatureKey, FeatureStore, check_finite
from dar_bench.reconstruction import square_batches
from dar_bench.references.opening import Given, check_extractor

if TYPE_CHECKING:
    import torch

    from dar_bench.data import ImageSource

OnImages = Callable[[int], Any]
FeatureSet = Mapping[str, Features]
"""Fingerprint of an extractor to its features of one set of images."""

Sides = Mapping[str, Side | UserError]
"""Fingerprint of an extractor to one side of a comparison, or to why there is none."""

FEATURE_BATCH = 64


def distinct_extractors(evaluators: Iterable[Evaluator]) -> list[Extractor]:
    """Return the extractors that the evaluators need, each once: equal fingerprints are one extractor."""
    found = {
        evaluator.extractor.fingerprint(): evaluator.extractor for evaluator in reversed(list(evaluators))
    }
    return list(reversed(found.values()))


class FeatureCollector:
    """Takes batches of images and keeps their features, of every extractor.

    Args:
        extractors: of different fingerprints (``distinct_extractors``).

    Attributes:
        seconds: fingerprint to the time that its extractor took.
    """

    def __init__(self, extractors: Sequence[Extractor]):
        self._extractors = {extractor.fingerprint(): extractor for extractor in extractors}
        self._parts = {fingerprint: FeatureParts() for fingerprint in self._extractors}
        self.seconds = dict.fromkeys(self._extractors, 0.0)

    def add(self, images: torch.Tensor) -> None:
        """Extract the features of a batch, uint8 (b, 3, H, W), and forget the images."""
        for fingerprint, extractor in self._extractors.items():
            started = time.perf_counter()
            self._parts[fingerprint].add(extractor.extract(images))
            self.seconds[fingerprint] += time.perf_counter() - started

    def features(self) -> dict[str, Features]:
        """Return the features of all images, in order; the collector is empty afterwards.

        Raises:
            UserError: nothing was added.
        """
        return {fingerprint: parts.join() for fingerprint, parts in self._parts.items()}


def extract_each(extractors: Sequence[Extractor], batches: Iterable[torch.Tensor]) -> dict[str, Features]:
    """Return every extractor's features of a stream of batches, each uint8 (b, 3, H, W).

    Every batch is made once, goes through each extractor once, and is forgotten.
    """
    collector = FeatureCollector(extractors)
    for batch in batches:
        collector.add(batch)
    return collector.features()


def sides(features: FeatureSet, *, name: str, fingerprint: str) -> dict[str, Side | UserError]:
    """Return one side of a comparison for every extractor.

    Args:
        features: of the same images by different extractors.
        name: what the user called the images.
        fingerprint: of their content and crop.
    """
    return {
        extractor: Side(name=name, fingerprint=fingerprint, features=part, count=len(part))
        for extractor, part in features.items()
    }


@dataclass(frozen=True, kw_only=True)
class ImageSet:
    """Images whose features can be stored: any range of them can be made, and their content has a name.

    Attributes:
        name: what the user called them.
        fingerprint: of their content, order and crop.
        count: how many.
        size: width and height in pixels.
        batches: from the first and the last index to those images, uint8 (b, 3, H, W) batches in order.
    """

    name: str
    fingerprint: str
    count: int
    size: tuple[int, int]
    batches: Callable[[int, int], Iterator[torch.Tensor]]


def cropped(source: ImageSource, size: int) -> ImageSet:
    """Return the centre crops of a source's images, ``size`` pixels wide and high."""

    def batches(start: int, stop: int) -> Iterator[torch.Tensor]:
        return (images for _, images in square_batches(source, size, FEATURE_BATCH, stop, first=start))

    return ImageSet(
        name=source.name,
        fingerprint=f"{source.fingerprint()};center-crop-{size}",
        count=len(source),
        size=(size, size),
        batches=batches,
    )


def stored_features(
    extractors: Sequence[Extractor],
    images: ImageSet,
    *,
    store: FeatureStore | None = None,
    on_images: OnImages = lambda count: None,
) -> dict[str, Features]:
    """Return every extractor's features of a set of images, those that are stored from the store.

    See ``feature_shards`` for how the others are computed.
    """
    parts = {extractor.fingerprint(): FeatureParts() for extractor in extractors}
    for _, features in feature_shards(extractors, images, store=store, on_images=on_images):
        for fingerprint, part in features.items():
            parts[fingerprint].add(part)
    return {fingerprint: rows.join() for fingerprint, rows in parts.items()}


def feature_shards(
    extractors: Sequence[Extractor],
    images: ImageSet,
    *,
    first: int = 0,
    store: FeatureStore | None = None,
    keep: bool = True,
    on_images: OnImages = lambda count: None,
) -> Iterator[tuple[int, dict[str, Features]]]:
    """Yield the index of a shard's first image and every extractor's features of it, in order.

    What is not stored is computed, each image decoded once whatever the number of extractors, beside the
    decoding of the next, and stored as soon as the shard is there.

    Args:
        extractors: of different fingerprints.
        images: which.
        first: index to begin with, of a shard's first image.
        store: where; the machine's unless given.
        keep: store what was computed.
        on_images: told how many images were done.

    Raises:
        UserError: an image cannot be read, features are not finite, or the disk is full.
    """
    place = store or FeatureStore()
    shelves = {
        extractor.fingerprint(): place.open(
            FeatureKey(images=images.fingerprint, extractor=extractor.fingerprint()),
            images=images.name,
            extractor=extractor.name,
        )
        for extractor in extractors
    }
    for start in range(first, images.count, SHARD):
        stop = min(start + SHARD, images.count)
        stored = {fingerprint: shelf.read(start, stop) for fingerprint, shelf in shelves.items()}
        found = {fingerprint: part for fingerprint, part in stored.items() if part is not None}
        missing = [extractor for extractor in extractors if extractor.fingerprint() not in found]
        if missing:
            collector = FeatureCollector(missing)
            with contextlib.closing(prefetched(images.batches(start, stop))) as batches:
                for batch in batches:
                    collector.add(batch)
                    on_images(len(batch))
            for fingerprint, features in collector.features().items():
                check_finite(features, start)
                if keep:
                    shelves[fingerprint].write(start, features)
                found[fingerprint] = features
        else:
            on_images(stop - start)
        yield start, found


def as_they_are(source: ImageSource) -> ImageSet:
    """Return a source's images uncropped; they must be of one size.

    Its batches raise ``UserError`` at the first image of another size.
    """
    width, height = source[0].image.size

    def batches(start: int, stop: int) -> Iterator[torch.Tensor]:
        import torch

        for first in range(start, stop, FEATURE_BATCH):
            rows = []
            for index in range(first, min(first + FEATURE_BATCH, stop)):
                image = source[index].image
                if image.size != (width, height):
                    raise UserError(
                        f"The images of '{source.name}' are of different sizes.",
                        why=f"{source.key(0)} is {width}x{height}, {source.key(index)} is "
                        f"{image.width}x{image.height}.",
                        hint="Bring them to one size, or crop them here with --crop SIZE.",
                    )
                rows.append(to_chw(np.asarray(image)))
            yield torch.from_numpy(np.stack(rows))

    return ImageSet(
        name=source.name,
        fingerprint=f"{source.fingerprint()};as-they-are",
        count=len(source),
        size=(width, height),
        batches=batches,
    )


def given_sides(
    given: Given,
    images: ImageSet | None,
    extractors: Sequence[Extractor],
    *,
    on_images: OnImages = lambda count: None,
) -> dict[str, Side | UserError]:
    """Return one side of a comparison for every extractor: features of its images, statistics, or both.

    Args:
        given: what the user named.
        images: its images as they are to be seen; ``None`` where it has statistics alone.
        extractors: whose features.
        on_images: told how many images were done.

    Returns:
        For an extractor that the statistics do not fit, the error that says so.
    """
    found: dict[str, Side | UserError] = {}
    fitting = []
    for extractor in extractors:
        try:
            check_extractor(given, extractor)
        except UserError as error:
            found[extractor.fingerprint()] = error
        else:
            fitting.append(extractor)
    features = stored_features(fitting, images, on_images=on_images) if images and fitting else {}
    for extractor in fitting:
        fingerprint = extractor.fingerprint()
        found[fingerprint] = Side(
            name=given.name,
            fingerprint=given.statistics.fingerprint
            if given.statistics
            else images.fingerprint
            if images
            else "",
            features=features.get(fingerprint),
            statistics=dict(given.statistics.moments) if given.statistics else {},
            count=given.count if given.statistics else images.count if images else 0,
        )
    return found


def measure_reference(
    reference: Given,
    size: int,
    extractors: Sequence[Extractor],
    *,
    limit: int | None = None,
    on_images: OnImages = lambda count: None,
) -> dict[str, Side | UserError]:
    """Return a reference at the size of the images it will be compared with.

    Args:
        reference: images are centre-cropped to ``size``, as the model's training data were, so that a model is
            not measured by pixels it cannot have; statistics must be of that size.
        size: side in pixels.
        extractors: whose features.
        limit: take only so many images, spread evenly over the set.
        on_images: told how many images were done.

    Raises:
        UserError: statistics of another size, or an image that cannot be read.
    """
    if reference.statistics is not None and reference.size not in (0, size):
        raise UserError(
            f"The reference '{reference.name}' is of {reference.size} px images, the model makes {size} px.",
            why="Features of images of different sizes differ, whatever the images show.",
            hint="Choose a reference of that size; see 'dar-bench stats list'.",
        )
    images = None if reference.source is None else cropped(spread(reference.source, limit), size)
    return given_sides(reference, images, extractors, on_images=on_images)
