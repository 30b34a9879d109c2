"""From a measurement to its record: everything that explains the numbers."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from dar_bench.api import Card
from dar_bench.evaluation import Measurement, Reference
from dar_bench.evaluators import embedded
from dar_bench.features.base import Extractor
from dar_bench.loading import LoadedGenerator, LoadedTokenizer
from dar_bench.results.environment import current_environment
from dar_bench.results.portable import portable_command
from dar_bench.results.record import Cost, Evaluator, Model, Record


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
    reference: Reference,
    extractor: Extractor,
    *,
    options: Mapping[str, Any],
    seed: int,
    labels: str,
    note: str = "",
) -> Record:
    """Return the record of a generation measurement.

    Args:
        options: the model's, complete. labels: the policy that chose the classes; it goes into the options.
        seed: of the samples, of the labels and of the kernel distance's blocks.
        note: what a reader must know.
    """
    tokenizer = generator.tokenizer
    return Record(
        kind="generation",
        model=Model(
            name=portable_name(generator.card),
            weights_sha256=generator.weights_sha256,
            parameters=generator.card.parameters,
            tokenizer=portable_name(tokenizer.card) if tokenizer else "",
            tokenizer_sha256=tokenizer.weights_sha256 if tokenizer else None,
        ),
        options={**plain_options(options), "labels": labels},
        seeds={"run": seed, "evaluation": seed},
        samples=measurement.samples,
        evaluator=Evaluator(
            name=embedded.NAME,
            extractor=extractor.name,
            extractor_fingerprint=extractor.fingerprint(),
            reference=reference.name,
            reference_fingerprint=reference.fingerprint,
            reference_count=len(reference.features),
        ),
        scores=measurement.scores,
        unavailable=measurement.unavailable,
        environment=current_environment(generator.options.device, generator.options.dtype),
        cost=_cost(measurement),
        command=command_line(),
        note=note,
    )


def reconstruction_record(
    tokenizer: LoadedTokenizer,
    measurement: Measurement,
    extractor: Extractor,
    *,
    data: str,
    data_fingerprint: str,
    options: Mapping[str, Any],
    seed: int,
    note: str = "",
) -> Record:
    """Return the record of a reconstruction measurement; the originals are its reference set."""
    return Record(
        kind="reconstruction",
        model=Model(
            name=portable_name(tokenizer.card),
            weights_sha256=tokenizer.weights_sha256,
            parameters=tokenizer.card.parameters,
        ),
        options=plain_options(options),
        seeds={"run": seed},
        samples=measurement.samples,
        evaluator=Evaluator(
            name=embedded.NAME,
            extractor=extractor.name,
            extractor_fingerprint=extractor.fingerprint(),
            reference=data,
            reference_fingerprint=f"{data_fingerprint};center-crop-{tokenizer.card.image_size}",
            reference_count=measurement.samples,
        ),
        scores=measurement.scores,
        unavailable=measurement.unavailable,
        environment=current_environment(tokenizer.options.device, tokenizer.options.dtype),
        cost=_cost(measurement),
        command=command_line(),
        note=note,
    )


def _cost(measurement: Measurement) -> Cost:
    busy = measurement.model_seconds
    return Cost(
        seconds=round(measurement.seconds, 3),
        model_seconds=round(busy, 3),
        images_per_second=round(measurement.samples / busy, 3) if busy else None,
        batch_size=measurement.batch_size,
    )
