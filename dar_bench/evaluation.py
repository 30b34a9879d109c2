"""Measurements: a model's images through the embedded protocol, as a stream that keeps features only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from dar_bench.errors import UserError, unknown_name
from dar_bench.evaluators import embedded
from dar_bench.features.base import Extractor, Features, concatenate, extract_all
from dar_bench.features.names import load_extractor
from dar_bench.generation import GenerationRun, generate, only_final
from dar_bench.reconstruction import reconstruct, spread, square_batches

if TYPE_CHECKING:
    from dar_bench.api import Options
    from dar_bench.data import ImageSource
    from dar_bench.loading import LoadedGenerator, LoadedTokenizer
    from dar_bench.results.record import Score

T = TypeVar("T")
OnImages = Callable[[int], Any]

EVALUATORS = (embedded.NAME,)
"""Evaluators of the core."""

FEATURE_BATCH = 64


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Features of a reference set, computed once and used for any number of measurements.

    Attributes:
        name: what the user called the set.
        fingerprint: of the images and of how they were cropped.
        features: of every image.
        size: side in pixels that the images were cropped to.
    """

    name: str
    fingerprint: str
    features: Features
    size: int


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What came of a measurement.

    Attributes:
        scores: with errors and protocols.
        unavailable: scores that could not be measured, with the reason.
        samples: images that were scored.
        seconds: wall-clock time of all of it; model_seconds: of that, in the model.
        batch_size: images at a time.
    """

    scores: list[Score]
    unavailable: dict[str, str] = field(default_factory=dict)
    samples: int
    seconds: float
    model_seconds: float
    batch_size: int


class Stopwatch:
    """Adds up the time spent inside an iterator."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def over(self, stream: Iterable[T]) -> Iterator[T]:
        """Yield what ``stream`` yields, counting the time that it takes to make each item."""
        iterator = iter(stream)
        while True:
            started = time.perf_counter()
            try:
                item = next(iterator)
            except StopIteration:
                return
            finally:
                self.seconds += time.perf_counter() - started
            yield item


def open_extractor(evaluator: str, device: str) -> Extractor:
    """Return the feature extractor of an evaluator.

    Raises:
        UserError: the evaluator is unknown.
    """
    if evaluator not in EVALUATORS:
        raise unknown_name("evaluator", evaluator, EVALUATORS)
    return load_extractor(device=device)


def measure_reference(
    source: ImageSource,
    size: int,
    extractor: Extractor,
    *,
    limit: int | None = None,
    on_images: OnImages = lambda count: None,
) -> Reference:
    """Extract the features of a reference set at the size of the images it will be compared with.

    Args:
        source: the reference images; each is centre-cropped to ``size``, as the model's training data were,
            so that a model is not measured by pixels it cannot have.
        size: side in pixels.
        extractor: whose features.
        limit: take only so many images, spread evenly over the set.
        on_images: told how many images were done.
    """
    chosen = spread(source, limit)

    def squares() -> Iterator[Any]:
        for indices, images in square_batches(chosen, size, FEATURE_BATCH):
            yield images
            on_images(len(indices))

    features = extract_all(extractor, squares())
    return Reference(
        name=chosen.name,
        fingerprint=f"{chosen.fingerprint()};center-crop-{size}",
        features=features,
        size=size,
    )


def measure_generation(
    generator: LoadedGenerator,
    run: GenerationRun,
    reference: Reference,
    extractor: Extractor,
    *,
    on_images: OnImages = lambda count: None,
) -> Measurement:
    """Generate, extract, score. Images are forgotten as soon as their features are there.

    Raises:
        UserError: fewer samples or reference images than the protocol needs.
    """
    _need(len(run.labels), "samples")
    started = time.perf_counter()
    watch = Stopwatch()
    quiet = replace(run, previews=False)
    features = extract_all(extractor, only_final(watch.over(generate(generator.model, quiet)), on_images))
    scores = embedded.score_generation(reference.features, features, seed=run.seed)
    return Measurement(
        scores=scores,
        samples=len(features),
        seconds=time.perf_counter() - started,
        model_seconds=watch.seconds,
        batch_size=run.batch_size,
    )


def measure_reconstruction(
    tokenizer: LoadedTokenizer,
    source: ImageSource,
    extractor: Extractor,
    *,
    seed: int,
    options: Options,
    batch_size: int,
    on_images: OnImages = lambda count: None,
) -> Measurement:
    """Encode, decode, compare: rFD on the extractor's features, PSNR, SSIM, and LPIPS where it can be had.

    Raises:
        UserError: fewer images than the protocol needs, or one that cannot be read.
    """
    _need(len(source), f"images of '{source.name}'")
    started = time.perf_counter()
    lpips, unavailable = embedded.optional_lpips(tokenizer.options.device)
    pairs = embedded.PairScorer(lpips)
    originals: list[Features] = []
    decoded: list[Features] = []
    model_seconds = 0.0
    for batch in reconstruct(tokenizer.model, source, seed=seed, options=options, batch_size=batch_size):
        model_seconds += batch.seconds
        pairs.add(batch.originals.numpy(), batch.images.numpy())
        originals.append(extractor.extract(batch.originals))
        decoded.append(extractor.extract(batch.images))
        on_images(len(batch.indices))
    scores = embedded.score_pairs(pairs, concatenate(originals), concatenate(decoded))
    return Measurement(
        scores=scores,
        unavailable=unavailable,
        samples=len(pairs),
        seconds=time.perf_counter() - started,
        model_seconds=model_seconds,
        batch_size=batch_size,
    )


def _need(count: int, what: str) -> None:
    """Tell too few images before the work, not after it."""
    if count < embedded.MINIMUM:
        raise UserError(
            f"Too few images: {count} {what}.",
            why=f"The scores need at least {embedded.MINIMUM}.",
            hint="Use more; scores settle only with thousands.",
        )
