"""Measurements of a model: its images as a stream of which only features are kept, then every evaluator's scores."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from dar_bench.api import Card, TokenizerCard
from dar_bench.counting import ImageCost, generation_cost, reconstruction_cost
from dar_bench.errors import UserError
from dar_bench.evaluation import scoring
from dar_bench.evaluation.extraction import (
    OnImages,
    Sides,
    distinct_extractors,
    sides,
)
from dar_bench.evaluation.scoring import Panel, Scored, score_each
from dar_bench.evaluation.team import compared_batches, extracted_batches
from dar_bench.evaluators.base import Side
from dar_bench.evaluators.pixels import PairScorer, optional_lpips
from dar_bench.evaluators.scores import MINIMUM
from dar_bench.features.base import FeatureParts
from dar_bench.generation import GenerationRun
from dar_bench.memory import PeakMemory
from dar_bench.reconstruction import ReconstructionRun, square_batches
from dar_bench.runs.processes import Processes
from dar_bench.sketches import Sketch, SketchCollector

if TYPE_CHECKING:
    from dar_bench.evaluation.linting import Watch
    from dar_bench.lint import Finding
    from dar_bench.loading import LoadedCodec, LoadedGenerator

T = TypeVar("T")

ALONE = Processes()


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What came of a measurement.

    Attributes:
        results: one for every evaluator that could score.
        missing: name to reason of those that could not.
        samples: images that were scored.
        seconds: wall-clock time of all of it; model_seconds: of that, in the model. ``None`` where they are not
            known. attribution: how time was attributed that was measured for more than this; empty where none was.
        batch_size: images at a time; ``None`` where they were made in batches of different sizes.
        image_cost: of one image, counted apart.
        peak_memory: bytes, while images were made; ``None`` where the system does not tell.
        tokens: codes made for an image; 0 for models without.
        sketches: fingerprint of an extractor to what is kept of some samples, for later checks.
        findings: what the lint found in the samples.
    """

    results: list[Scored]
    samples: int
    seconds: float | None
    model_seconds: float | None
    batch_size: int | None
    missing: Mapping[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    image_cost: ImageCost | None = None
    peak_memory: int | None = None
    attribution: str = ""
    tokens: int = 0
    sketches: Mapping[str, Sketch] = field(default_factory=dict)

    def sketch(self, scored: Scored) -> Sketch | None:
        """Return the sketch on the features of the evaluator that scored."""
        return self.sketches.get(scored.evaluator.extractor.fingerprint())


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


def measure_generation(
    generator: LoadedGenerator,
    run: GenerationRun,
    references: Sides,
    panel: Panel,
    *,
    watch: Watch | None = None,
    team: Processes = ALONE,
    on_images: OnImages = lambda count: None,
) -> Measurement:
    """Generate, extract, score. Images are forgotten as soon as their features are there.

    Args:
        generator: makes the images.
        run: which.
        references: the reference for every extractor of the evaluators.
        panel: who scores; all of them see the same images, generated once.
        watch: looks over the samples as they pass.
        team: processes that share the generation; this must be the first of them (``assist_generation`` for the
            others).
        on_images: told how many images were done.

    Raises:
        UserError: fewer samples or reference images than a protocol needs.
    """
    need_images(len(run.labels), "samples")
    started = time.perf_counter()
    cost = generation_cost(generator, run)
    clock = Stopwatch()
    collector = SketchCollector(len(run.labels))
    extractors = distinct_extractors(panel.evaluators)
    parts = {extractor.fingerprint(): FeatureParts() for extractor in extractors}
    with PeakMemory(generator.options.device) as memory:
        for batch, made in extracted_batches(team, generator.model, run, extractors, clock):
            collector.add(batch.indices, batch.images, batch.codes)
            if watch:
                watch.lint.add(batch.images, batch.labels)
            for fingerprint, part in made.items():
                parts[fingerprint].add(part)
            on_images(len(batch.indices))
    features = {fingerprint: rows.join() for fingerprint, rows in parts.items()}
    findings = watch.judge(features) if watch else []
    samples = sides(features, name=generator.card.name, fingerprint="")
    verdicts = score_each(panel, references, samples, scoring.generation(run.seed))
    tokenizer = generator.tokenizer
    return Measurement(
        results=verdicts.results,
        missing=verdicts.missing,
        findings=findings,
        samples=len(run.labels),
        seconds=time.perf_counter() - started,
        model_seconds=clock.seconds,
        batch_size=run.batch_size,
        image_cost=cost,
        peak_memory=memory.bytes,
        tokens=int(run.options.get("tokens", tokenizer.card.tokens)) if tokenizer else 0,
        sketches={
            extractor: collector.sketch(part, _side(references.get(extractor)))
            for extractor, part in features.items()
        },
    )


def assist_generation(generator: LoadedGenerator, run: GenerationRun, panel: Panel, team: Processes) -> None:
    """Make this process's share of a generation measurement for the first process of the team."""
    extractors = distinct_extractors(panel.evaluators)
    for _ in extracted_batches(team, generator.model, run, extractors, Stopwatch()):
        raise ValueError("only the first process receives batches")


def measure_reconstruction(
    tokenizer: LoadedCodec,
    run: ReconstructionRun,
    panel: Panel,
    *,
    watch: Watch | None = None,
    team: Processes = ALONE,
    on_images: OnImages = lambda count: None,
) -> Measurement:
    """Encode, decode, compare: every evaluator's distance, PSNR, SSIM, and LPIPS where it can be had.

    Args:
        tokenizer: encodes and decodes, or an autoencoder that does.
        run: which images, and how.
        panel: who scores; all of them see the same images, decoded once.
        watch: looks over the reconstructions as they pass.
        team: processes that share the work; this must be the first of them (``assist_reconstruction`` for the
            others).
        on_images: told how many images were done.

    Raises:
        UserError: fewer images than the protocol needs, or one that cannot be read.
    """
    need_images(run.count, f"images of '{run.source.name}'")
    started = time.perf_counter()
    lpips, unavailable = optional_lpips(tokenizer.options.device)
    pairs, clock = PairScorer(lpips), Stopwatch()
    extractors = distinct_extractors(panel.evaluators)
    before = {extractor.fingerprint(): FeatureParts() for extractor in extractors}
    after = {extractor.fingerprint(): FeatureParts() for extractor in extractors}
    collector = SketchCollector(run.count)
    first = next(square_batches(run.source, tokenizer.card.image_size, 1, 1))[1]
    cost = reconstruction_cost(tokenizer, first, seed=run.seed, options=run.options)
    with PeakMemory(tokenizer.options.device) as memory:
        for one in compared_batches(team, tokenizer.model, run, extractors, lpips, clock):
            batch = one.batch
            pairs.take(one.pairs)
            for fingerprint in before:
                before[fingerprint].add(one.originals[fingerprint])
                after[fingerprint].add(one.decoded[fingerprint])
            collector.add(batch.indices, batch.images, batch.codes)
            if watch:
                watch.lint.add(batch.images)
                watch.lint.compare(batch.originals, batch.images)
            on_images(len(batch.indices))
    content = f"{run.source.fingerprint()};center-crop-{tokenizer.card.image_size}"
    originals = {fingerprint: rows.join() for fingerprint, rows in before.items()}
    references = sides(originals, name=run.source.name, fingerprint=content)
    features = {fingerprint: rows.join() for fingerprint, rows in after.items()}
    findings = watch.judge(features) if watch else []
    samples = sides(features, name=tokenizer.card.name, fingerprint="")
    verdicts = score_each(panel, references, samples, scoring.reconstruction)
    pixels = pairs.scores()
    return Measurement(
        results=[
            replace(one, scores=[*one.scores, *pixels], unavailable=unavailable) for one in verdicts.results
        ],
        missing=verdicts.missing,
        findings=findings,
        samples=len(pairs),
        seconds=time.perf_counter() - started,
        model_seconds=clock.seconds,
        batch_size=run.batch_size,
        image_cost=cost,
        peak_memory=memory.bytes,
        tokens=_tokens(tokenizer.card, run),
        sketches={extractor: collector.sketch(part) for extractor, part in features.items()},
    )


def assist_reconstruction(
    tokenizer: LoadedCodec, run: ReconstructionRun, panel: Panel, team: Processes
) -> None:
    """Make this process's share of a reconstruction measurement for the first process of the team."""
    lpips, _ = optional_lpips(tokenizer.options.device)
    extractors = distinct_extractors(panel.evaluators)
    for _ in compared_batches(team, tokenizer.model, run, extractors, lpips, Stopwatch()):
        raise ValueError("only the first process receives batches")


def _tokens(card: Card, run: ReconstructionRun) -> int:
    return int(run.options.get("tokens", card.tokens)) if isinstance(card, TokenizerCard) else 0


def _side(found: Side | UserError | None) -> Side | None:
    return found if isinstance(found, Side) else None


def need_images(count: int, what: str) -> None:
    """Tell too few images before the work, not after it."""
    if count < MINIMUM:
        raise UserError(
            f"Too few images: {count} {what}.",
            why=f"The scores need at least {MINIMUM}.",
            hint="Use more; scores settle only with thousands.",
        )
