"""From a plan whose work is done to the records of its rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dar_bench.api import GeneratorCard
from dar_bench.evaluation import scoring
from dar_bench.evaluation.extraction import distinct_extractors, measure_reference, sides
from dar_bench.evaluation.linting import remark
from dar_bench.evaluation.measuring import Measurement, need_images
from dar_bench.evaluation.scoring import Verdicts, score_each
from dar_bench.evaluators.base import Side
from dar_bench.evaluators.pixels import PairScorer, optional_lpips
from dar_bench.recording import generation_record, reconstruction_record
from dar_bench.references.opening import Given, open_given
from dar_bench.sketches import Sketch, SketchCollector
from dar_bench.sweeps.costs import row_cost, row_image_cost
from dar_bench.sweeps.execution import Executor
from dar_bench.sweeps.linting import judge_samples
from dar_bench.sweeps.plan import Plan, PlannedRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dar_bench.evaluation.extraction import Sides
    from dar_bench.features.base import Features
    from dar_bench.results.record import Record


@dataclass(frozen=True, kw_only=True)
class RowResult:
    """What came of one row.

    Attributes:
        row: of the plan.
        records: one for every evaluator that could score.
        measurement: that they are of.
    """

    row: PlannedRow
    records: list[Record]
    measurement: Measurement

    @property
    def missing(self) -> Mapping[str, str]:
        """Name to reason of the evaluators that could not score."""
        return self.measurement.missing


def check_counts(plan: Plan) -> None:
    """Tell too few samples before the work, not after it."""
    need_images(plan.nodes[0].samples.count, "samples")


def read_reference(plan: Plan, on_images: Callable[[int], Any]) -> Sides:
    """Return what the rows are compared with, for every extractor; it is read once per machine.

    For reconstructions these are the originals.
    """
    limit = plan.data.limit
    given = (
        open_given(plan.data.name)
        if isinstance(plan.card, GeneratorCard)
        else Given(name=plan.data.name, source=plan.data.open())
    )
    extractors = distinct_extractors(plan.panel.evaluators)
    return measure_reference(
        given,
        plan.card.image_size,
        extractors,
        limit=limit if isinstance(plan.card, GeneratorCard) else None,
        on_images=on_images,
    )


def score_row(
    plan: Plan,
    row: PlannedRow,
    executor: Executor,
    references: Sides,
    *,
    note: str = "",
    strict: bool = False,
) -> RowResult:
    """Score one row and return its records.

    Args:
        plan: whose work is done; what is missing nevertheless is made again.
        row: which.
        executor: hands out features.
        references: from ``read_reference``.
        note: what a reader of the records must know.
        strict: samples in which the lint finds what moves scores are an error, with exit status 1.

    Raises:
        UserError: such samples, or an evaluator that was asked for by its name cannot score.
    """
    drawn = {
        fingerprint: executor.features(row.node, row.view, fingerprint)
        for fingerprint in row.node.views[row.view].shelves
    }
    samples = sides(drawn, name=plan.card.name, fingerprint="")
    findings = judge_samples(plan, row, executor, drawn, strict=strict)
    note = " ".join(filter(None, (note, remark(findings))))
    seed = plan.spec.seed
    if isinstance(plan.card, GeneratorCard):
        verdicts = score_each(plan.panel, references, samples, scoring.generation(seed))
        generator = executor.worker.generator(plan.model)
        sketches = _sketches(row, executor, drawn, references)
        measurement = replace(_measurement(plan, row, executor, verdicts, sketches), findings=findings)
        records = [
            generation_record(
                generator,
                measurement,
                scored,
                options=row.options,
                seed=seed,
                labels=plan.policy,
                note=note,
            )
            for scored in verdicts.results
        ]
        return RowResult(row=row, records=records, measurement=measurement)
    verdicts = _with_pixels(
        score_each(plan.panel, references, samples, scoring.reconstruction), plan, row, executor
    )
    tokenizer = executor.worker.tokenizer(plan.model)
    sketches = _sketches(row, executor, drawn, {})
    measurement = replace(_measurement(plan, row, executor, verdicts, sketches), findings=findings)
    records = [
        reconstruction_record(tokenizer, measurement, scored, options=row.options, seed=seed, note=note)
        for scored in verdicts.results
    ]
    return RowResult(row=row, records=records, measurement=measurement)


def _with_pixels(verdicts: Verdicts, plan: Plan, row: PlannedRow, executor: Executor) -> Verdicts:
    lpips, unavailable = optional_lpips(plan.spec.loading.device)
    scorer = PairScorer(lpips)
    executor.pairs(row.node, row.view, scorer)
    pixels = scorer.scores()
    results = [
        replace(one, scores=[*one.scores, *pixels], unavailable=unavailable) for one in verdicts.results
    ]
    return Verdicts(results=results, missing=verdicts.missing)


def _sketches(
    row: PlannedRow, executor: Executor, drawn: Mapping[str, Features], references: Sides
) -> dict[str, Sketch]:
    """Return the sketch of the row's samples on every extractor's features, as a measurement of its own has it."""
    node = row.node
    collector = SketchCollector(node.samples.count)
    for shard in node.shards():
        hashes = executor.hashes(node, row.view, shard)
        collector.take(range(*shard), hashes["images"], hashes.get("codes"))
    found = {}
    for fingerprint, features in drawn.items():
        reference = references.get(fingerprint)
        side = reference if isinstance(reference, Side) else None
        found[fingerprint] = collector.sketch(features, side)
    return found


def _measurement(
    plan: Plan, row: PlannedRow, executor: Executor, verdicts: Verdicts, sketches: Mapping[str, Sketch]
) -> Measurement:
    """Return what came of the row, and what it cost (``dar_bench.sweeps.costs``)."""
    cost = row_cost(row)
    return Measurement(
        results=verdicts.results,
        missing=verdicts.missing,
        samples=row.node.samples.count,
        seconds=cost.seconds,
        model_seconds=cost.model_seconds,
        batch_size=cost.batch_size,
        image_cost=row_image_cost(plan, row, executor),
        peak_memory=cost.peak_memory,
        attribution=cost.attribution,
        tokens=row.view,
        sketches=sketches,
    )
