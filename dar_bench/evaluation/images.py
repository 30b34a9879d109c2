"""Measurements of images that are there already, whoever made them."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from dar_bench.errors import UserError
from dar_bench.evaluation import scoring
from dar_bench.evaluation.extraction import (
    ImageSet,
    OnImages,
    Sides,
    as_they_are,
    cropped,
    distinct_extractors,
    given_sides,
)
from dar_bench.evaluation.measuring import Measurement, need_images
from dar_bench.evaluation.scoring import Panel, score_each
from dar_bench.evaluators.base import Side
from dar_bench.lint.source import WatchedSource

if TYPE_CHECKING:
    from dar_bench.evaluation.linting import Watch
    from dar_bench.features.base import Features
    from dar_bench.references.opening import Given


def measure_images(
    reference: Given,
    samples: Given,
    panel: Panel,
    *,
    crop: int | None = None,
    seed: int = 0,
    watch: Watch | None = None,
    on_images: OnImages = lambda count: None,
) -> Measurement:
    """Score images against a reference, both as they are.

    Args:
        reference, samples: what was named; each may be images, statistics, or both.
        panel: who scores; every extractor sees every image once.
        crop: centre-crop the images of both sides to this side in pixels.
        seed: of an evaluator's own random choices.
        watch: looks over the samples as they pass.
        on_images: told how many images were done.

    Raises:
        UserError: images of different sizes, too few, or one that cannot be read.
    """
    started = time.perf_counter()
    watched = None
    if watch is not None and samples.source is not None:
        watched = WatchedSource(samples.source, watch.lint)
        samples = replace(samples, source=watched)
    sets = [_images(given, crop) for given in (reference, samples)]
    for given, images in zip((reference, samples), sets, strict=True):
        if images is not None:
            need_images(images.count, f"images of '{given.name}'")
    _check_sizes(reference, samples, *sets, crop=crop)
    extractors = distinct_extractors(panel.evaluators)
    # The samples first: what is wrong with them is told before a large reference is read.
    drawn = given_sides(samples, sets[1], extractors, on_images=on_images)
    findings = []
    if watch is not None and watched is not None:
        watched.read_rest()  # those whose features were stored
        findings = watch.judge(_features(drawn))
    fixed = given_sides(reference, sets[0], extractors, on_images=on_images)
    verdicts = score_each(panel, fixed, drawn, scoring.generation(seed))
    return Measurement(
        results=verdicts.results,
        missing=verdicts.missing,
        findings=findings,
        samples=samples.count or (sets[1].count if sets[1] else 0),
        seconds=time.perf_counter() - started,
        model_seconds=0.0,
        batch_size=0,
    )


def samples_fingerprint(samples: Given, crop: int | None) -> str:
    """Return the fingerprint of what is measured: the images' content and crop, or the statistics."""
    images = _images(samples, crop)
    if images is not None:
        return images.fingerprint
    return samples.statistics.fingerprint if samples.statistics else ""


def _features(sides: Sides) -> dict[str, Features]:
    return {
        extractor: side.features
        for extractor, side in sides.items()
        if isinstance(side, Side) and side.features is not None
    }


def _images(given: Given, crop: int | None) -> ImageSet | None:
    if given.source is None:
        return None
    return as_they_are(given.source) if crop is None else cropped(given.source, crop)


def _check_sizes(
    reference: Given, samples: Given, first: ImageSet | None, second: ImageSet | None, *, crop: int | None
) -> None:
    sizes = []
    for given, images in ((reference, first), (samples, second)):
        size = images.size if images else (given.size, given.size)
        # Statistics were made of images of one size, whatever the images beside them are cropped to.
        if given.statistics is not None and crop and given.size not in (0, crop):
            size = (given.size, given.size)
        sizes.append(size)
    if (0, 0) in sizes or sizes[0] == sizes[1]:
        return
    named = [f"{width}x{height}" for width, height in sizes]
    raise UserError(
        f"The reference '{reference.name}' is of {named[0]} px images, the samples '{samples.name}' are {named[1]}.",
        why="Features of images of different sizes differ, whatever the images show.",
        hint="Choose a reference of that size, or crop both with --crop SIZE."
        if reference.statistics is None
        else "Choose a reference of that size; see 'dar-bench stats list'.",
    )
