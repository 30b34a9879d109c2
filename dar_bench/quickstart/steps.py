"""The quickstart's steps, in the order in which they are walked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dar_bench.console import progress
from dar_bench.data import open_source
from dar_bench.data.subset import spread
from dar_bench.data.transforms import Pixels
from dar_bench.evaluation.extraction import Sides, measure_reference
from dar_bench.evaluation.measuring import Measurement, measure_generation, measure_reconstruction
from dar_bench.evaluation.scoring import only
from dar_bench.evaluators.base import Evaluator
from dar_bench.generation import GenerationRun, generate
from dar_bench.grids import Row, write_sheet
from dar_bench.labels import class_name
from dar_bench.loading import LoadedGenerator, LoadedTokenizer
from dar_bench.options import parse_options
from dar_bench.quickstart.folder import QuickstartFolder
from dar_bench.quickstart.narration import Narration
from dar_bench.quickstart.plan import SAMPLES_PER_CLASS, SHEET_CLASSES, SHEET_IMAGES, SHOWN_SCHEDULE, Plan
from dar_bench.reconstruction import ReconstructionRun, reconstruct, to_pixels
from dar_bench.reconstruction_files import write_side_by_side
from dar_bench.recording import generation_record, reconstruction_record, write_records
from dar_bench.references.opening import open_given
from dar_bench.results.record import Record
from dar_bench.roles import choose_labels
from dar_bench.sample_files import write_trajectory
from dar_bench.score_tables import SCORE_NUMBERS, comparison_rows, interval
from dar_bench.sketches import sketch_path

if TYPE_CHECKING:
    from dar_bench.api import GeneratedBatch

BATCH_SIZE = 64


def show_installed(plan: Plan, generator: LoadedGenerator, narration: Narration) -> None:
    """Say which models and data will be used."""
    from dar_bench.results.environment import current_environment

    on = current_environment(generator.options.device, generator.options.dtype)
    rows = [
        ("generator", f"{plan.generator.name}: {plan.generator.summary}"),
        ("", f"{plan.generator.parameters:,} parameters, weights {generator.weights_sha256[:12]}"),
        ("tokenizer", f"{plan.tokenizer.name}: {plan.tokenizer.summary}"),
        ("", f"{plan.tokenizer.parameters:,} parameters, {plan.tokenizer.tokens} tokens per image"),
        ("classes", ", ".join(plan.generator.class_names) or plan.generator.num_classes),
        ("held-out images", f"{plan.held_out}, {len(open_source(plan.held_out))} images"),
        ("reference images", f"{plan.reference}, {len(open_source(plan.reference))} images"),
        (
            "device",
            f"{on.device}, {on.precision}, {on.threads} threads, torch {on.packages.get('torch', '?')}",
        ),
    ]
    narration.table(("part", "what"), rows)


def show_reconstructions(
    plan: Plan, tokenizer: LoadedTokenizer, folder: QuickstartFolder, narration: Narration
) -> None:
    """Put some held-out images beside what the tokenizer makes of them."""
    some = spread(open_source(plan.held_out), SHEET_IMAGES)
    pairs: list[tuple[Pixels, Pixels]] = []
    run = ReconstructionRun(source=some, seed=plan.seed, options=parse_options(plan.tokenizer, {}))
    with progress("Reconstructing", len(some)) as bar:
        for batch in reconstruct(tokenizer.model, run):
            pairs += [
                (to_pixels(original), to_pixels(image))
                for original, image in zip(batch.originals, batch.images, strict=True)
            ]
            bar.advance(len(batch.indices))
    path = folder.path / "reconstructions.png"
    write_side_by_side(path, pairs)
    folder.add(path, "held-out images over their reconstructions")
    narration.say(f"Wrote {path}")


def show_generation(
    plan: Plan, generator: LoadedGenerator, folder: QuickstartFolder, narration: Narration
) -> None:
    """Generate some images of every class, writing the estimate of all after every group of tokens."""
    classes = range(min(plan.generator.num_classes, SHEET_CLASSES))
    run = GenerationRun(
        labels=[label for label in classes for _ in range(SAMPLES_PER_CLASS)],
        seed=plan.seed,
        options=parse_options(plan.generator, {"cfg": SHOWN_SCHEDULE}),
        batch_size=SHEET_CLASSES * SAMPLES_PER_CLASS,
        previews=True,
    )
    trajectories: list[list[Pixels]] = [[] for _ in classes]
    batches = generate(generator.model, run)
    with progress("Generating, group by group", plan.tokenizer.groups) as bar:
        for batch in batches:
            rows = _class_rows(plan, batch)
            for label, row in enumerate(rows):
                trajectories[label].append(row.images[0])
            if batch.final:
                path = folder.path / "classes.png"
                meaning = f"generated images, one row per class, guidance {SHOWN_SCHEDULE}"
            else:
                path = folder.path / "previews" / f"group-{batch.groups_done}.png"
                meaning = f"their estimate after group {batch.groups_done} of {batch.groups}"
            write_sheet(path, rows)
            folder.add(path, meaning)
            bar.advance()
    path = folder.path / "trajectory.png"
    names = [class_name(plan.generator, label) for label in classes]
    write_trajectory(path, [Row(name, images) for name, images in zip(names, trajectories, strict=True)])
    folder.add(path, "from the first group of tokens to the last, one sample per class")
    narration.say(f"Wrote {folder.path / 'classes.png'}, {path} and a preview for every group")


def score_reconstructions(
    plan: Plan,
    tokenizer: LoadedTokenizer,
    evaluator: Evaluator,
    folder: QuickstartFolder,
    narration: Narration,
) -> Record:
    """Measure the tokenizer on the held-out images and write the record."""
    chosen = spread(open_source(plan.held_out), plan.images)
    options = parse_options(plan.tokenizer, {})
    with progress("Reconstructing and comparing", len(chosen)) as bar:
        measurement = measure_reconstruction(
            tokenizer,
            ReconstructionRun(source=chosen, seed=plan.seed, options=options, batch_size=BATCH_SIZE),
            only(evaluator),
            on_images=bar.advance,
        )
    (scored,) = measurement.results
    record = reconstruction_record(tokenizer, measurement, scored, options=options, seed=plan.seed)
    write_record(record, measurement, folder, "reconstruction scores")
    rows = [(score.name, f"{score.value:.4g}", interval(score), score.n) for score in record.scores]
    narration.table(("score", "value", "95 %", "n"), rows, right=SCORE_NUMBERS)
    for name, reason in record.unavailable.items():
        narration.say(f"{name}: not measured. {reason}")
    return record


def compare_schedules(
    plan: Plan,
    generator: LoadedGenerator,
    evaluator: Evaluator,
    folder: QuickstartFolder,
    narration: Narration,
) -> list[tuple[str, Record]]:
    """Measure the generator with every schedule against one reference, whose features are computed once."""
    reference = open_given(plan.reference)
    with progress(f"Reading {plan.reference}", reference.count) as bar:
        references = measure_reference(
            reference, plan.generator.image_size, [evaluator.extractor], on_images=bar.advance
        )
    records = []
    for schedule in plan.schedules:
        record, measurement = _measure_schedule(plan, schedule, generator, references, evaluator)
        write_record(record, measurement, folder, f"generation scores with guidance {schedule}")
        records.append((f"cfg {schedule}", record))
    columns, rows = comparison_rows(records)
    narration.table(columns, rows, right=columns[1:])
    return records


def _measure_schedule(
    plan: Plan, schedule: str, generator: LoadedGenerator, references: Sides, evaluator: Evaluator
) -> tuple[Record, Measurement]:
    policy, labels = choose_labels(None, open_source(plan.reference), plan.generator, plan.samples, plan.seed)
    options = parse_options(plan.generator, {"cfg": schedule})
    run = GenerationRun(labels=labels, seed=plan.seed, options=options, batch_size=BATCH_SIZE)
    with progress(f"Generating with guidance {schedule}", plan.samples) as bar:
        measurement = measure_generation(generator, run, references, only(evaluator), on_images=bar.advance)
    (scored,) = measurement.results
    record = generation_record(generator, measurement, scored, options=options, seed=plan.seed, labels=policy)
    return record, measurement


def write_record(record: Record, measurement: Measurement, folder: QuickstartFolder, meaning: str) -> None:
    """Write a record and its sketch into the folder as soon as it is measured."""
    results = folder.path / "results"
    for sketch in measurement.sketches.values():
        folder.add(
            sketch_path(results / "record", sketch.digest()), "what is kept to verify the record below"
        )
    for path in write_records(results, [record], measurement):
        folder.add(path, meaning)


def _class_rows(plan: Plan, batch: GeneratedBatch) -> list[Row]:
    pixels = [to_pixels(image) for image in batch.images]
    return [
        Row(class_name(plan.generator, start // SAMPLES_PER_CLASS), pixels[start : start + SAMPLES_PER_CLASS])
        for start in range(0, len(pixels), SAMPLES_PER_CLASS)
    ]
