"""From a measurement to its record: everything that explains the numbers."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dar_bench.api import AutoencoderCard, Card
from dar_bench.evaluation.measuring import Measurement
from dar_bench.evaluation.scoring import Scored
from dar_bench.loading import LoadedCodec, LoadedGenerator
from dar_bench.reconstruction import LATENTS
from dar_bench.results.environment import current_environment
from dar_bench.results.portable import portable_command
from dar_bench.results.record import Cost, Evaluator, Model, Record
from dar_bench.results.store import RecordStore
from dar_bench.sketches import write_sketch


def plain_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model's options as JSON values: schedules become the text that the command line reads."""
    return {
        name: value if value is None or isinstance(value, bool | int | float | str) else str(value)
        for name, value in options.items()
    }


def command_line() -> list[str]:
    """Return this process's command line, without what is private to the machine."""
    return ["dar-bench", *portable_command(sys.argv)[1:]]


def portable_name(card: Card) -> str:
    """Return a model's name; of an export folder outside the working folder only the last component."""
    return portable_command(["", card.name])[1]


def generation_record(
    generator: LoadedGenerator,
    measurement: Measurement,
    scored: Scored,
    *,
    options: Mapping[str, Any],
    seed: int,
    labels: str,
    note: str = "",
) -> Record:
    """Return the record of what one evaluator says of a generation measurement.

    Args:
        measurement: what was made and what it took. scored: one of its results.
        options: the model's, complete. labels: the policy that chose the classes; it goes into the options.
        seed: of the samples, of the labels and of the kernel distance's blocks.
        note: what a reader must know.
    """
    decoder = generator.decoder
    return Record(
        kind="generation",
        model=Model(
            name=portable_name(generator.card),
            weights_sha256=generator.weights_sha256,
            parameters=generator.card.parameters,
            tokenizer=portable_name(decoder.card) if decoder else "",
            tokenizer_sha256=decoder.weights_sha256 if decoder else None,
        ),
        options={**plain_options(options), "labels": labels},
        seeds={"run": seed, "evaluation": seed},
        samples=measurement.samples,
        evaluator=evaluator_entry(scored),
        scores=scored.scores,
        unavailable=dict(scored.unavailable),
        environment=current_environment(generator.options.device, generator.options.dtype),
        cost=measured_cost(measurement),
        sketch=_sketch_digest(measurement, scored),
        command=command_line(),
        note=note,
    )


def reconstruction_record(
    tokenizer: LoadedCodec,
    measurement: Measurement,
    scored: Scored,
    *,
    options: Mapping[str, Any],
    seed: int,
    note: str = "",
) -> Record:
    """Return the record of a reconstruction measurement; the originals are its reference set."""
    latents = {"latents": LATENTS} if isinstance(tokenizer.card, AutoencoderCard) else {}
    return Record(
        kind="reconstruction",
        model=Model(
            name=portable_name(tokenizer.card),
            weights_sha256=tokenizer.weights_sha256,
            parameters=tokenizer.card.parameters,
        ),
        options={**plain_options(options), **latents},
        seeds={"run": seed},
        samples=measurement.samples,
        evaluator=evaluator_entry(scored),
        scores=scored.scores,
        unavailable=dict(scored.unavailable),
        environment=current_environment(tokenizer.options.device, tokenizer.options.dtype),
        cost=measured_cost(measurement),
        sketch=_sketch_digest(measurement, scored),
        command=command_line(),
        note=note,
    )


def images_record(
    measurement: Measurement,
    scored: Scored,
    *,
    samples: str,
    fingerprint: str,
    crop: int | None,
    purpose: str,
    seed: int,
    device: str,
    note: str = "",
) -> Record:
    """Return the record of what one evaluator says of images that were there already.

    Args:
        measurement: of the images. scored: one of its results.
        samples: what the user called the images. fingerprint: of their content and crop.
        crop: side in pixels that both sides were cropped to. purpose: what the reference was chosen for.
        seed: of the evaluator's own random choices. device: that the features were extracted on.
        note: what a reader must know.
    """
    return Record(
        kind="images",
        model=Model(name=portable_command(["", samples])[1]),
        options={"samples_fingerprint": fingerprint, "crop": crop, "purpose": purpose},
        seeds={"evaluation": seed},
        samples=measurement.samples,
        evaluator=evaluator_entry(scored),
        scores=scored.scores,
        unavailable=dict(scored.unavailable),
        environment=current_environment(device, "float32"),
        cost=Cost(seconds=_rounded(measurement.seconds)),
        command=command_line(),
        note=note,
    )


def write_records(
    folder: Path, records: Iterable[Record], measurement: Measurement, *, kept_work: bool = False
) -> list[Path]:
    """Write the records of a measurement, after the sketches that they point to, and return their paths.

    Args:
        folder: to write to. records: of the measurement.
        kept_work: the samples may have been made before: a measurement that is there already gets no second record.
    """
    for sketch in measurement.sketches.values():
        write_sketch(folder, sketch)
    store = RecordStore(folder)
    return [store.write_new(record) if kept_work else store.write(record) for record in records]


def evaluator_entry(scored: Scored) -> Evaluator:
    """Return who scored, and against what, as it stands in a record."""
    extractor, reference = scored.evaluator.extractor, scored.reference
    return Evaluator(
        name=scored.evaluator.name,
        extractor=extractor.name,
        extractor_fingerprint=extractor.fingerprint(),
        reference=reference.name,
        reference_fingerprint=reference.fingerprint,
        reference_count=reference.count or None,
    )


def measured_cost(measurement: Measurement) -> Cost:
    """Return what a measurement and one of its images took."""
    busy, image = measurement.model_seconds, measurement.image_cost
    return Cost(
        seconds=_rounded(measurement.seconds),
        model_seconds=_rounded(busy),
        images_per_second=round(measurement.samples / busy, 3) if busy else None,
        tokens_per_second=round(measurement.samples * measurement.tokens / busy, 3)
        if busy and measurement.tokens
        else None,
        batch_size=measurement.batch_size,
        flops_per_image=image.flops if image else None,
        network_evaluations=dict(image.evaluations) if image else {},
        first_preview_seconds=image.first_preview_seconds if image else None,
        peak_memory_bytes=measurement.peak_memory,
        attribution=measurement.attribution,
    )


def _sketch_digest(measurement: Measurement, scored: Scored) -> str | None:
    sketch = measurement.sketch(scored)
    return sketch.digest() if sketch else None


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
