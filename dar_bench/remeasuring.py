"""Making the samples or the scores of a record again, from what the record says of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from dar_bench.api import Card, LoadOptions
from dar_bench.data import open_source
from dar_bench.data.subset import spread
from dar_bench.errors import UserError
from dar_bench.evaluation.extraction import distinct_extractors, measure_reference
from dar_bench.evaluation.measuring import Measurement, measure_generation, measure_reconstruction
from dar_bench.evaluation.scoring import Scored, load_panel
from dar_bench.generation import GenerationRun
from dar_bench.loading import codec_card, generator_card, load_codec, load_generator
from dar_bench.options import parse_options
from dar_bench.reconstruction import ReconstructionRun
from dar_bench.recording import generation_record, reconstruction_record
from dar_bench.references.opening import open_given
from dar_bench.results.record import Record
from dar_bench.roles import choose_labels, held_out_data, reference_name

if TYPE_CHECKING:
    from dar_bench.sketches import Sketch

BATCH_SIZE = 32

PUBLISHED_EVALUATOR = "adm"
"""Whose protocol published scores are held against, unless a check says otherwise."""


class Bar(Protocol):
    """Something that shows progress."""

    def advance(self, amount: float) -> Any:
        """Go on by so many images."""
        ...


Progress = Callable[[str, float | None], AbstractContextManager[Bar]]
"""Shows the progress of a named task of so many images."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A measurement to be made.

    Attributes:
        model: name of a generator, or of a tokenizer or an autoencoder for a reconstruction.
        kind: ``generation`` or ``reconstruction``.
        options: the model's, as texts; the others keep their defaults.
        samples: images to generate; for a reconstruction how many of the data, ``None`` for all.
        seed: of the run.
        labels: policy, ``None`` for the usual one.
        reference: set to compare with, or data to reconstruct; ``None`` for the usual one.
        reference_limit: take so many of its images, ``None`` for all.
        evaluator: by name.
    """

    model: str
    kind: str = "generation"
    options: Mapping[str, str] = field(default_factory=dict)
    samples: int | None = None
    seed: int = 0
    labels: str | None = None
    reference: str | None = None
    reference_limit: int | None = None
    evaluator: str = "embedded"


def wanted_again(record: Record) -> Wanted:
    """Return the measurement that a record is of.

    Of a published record it takes what the table states and the card's own reference.

    Raises:
        UserError: a kind of record that cannot be made again.
    """
    if record.kind not in ("generation", "reconstruction"):
        raise UserError(f"A record of kind '{record.kind}' cannot be measured again.")
    card: Card = (
        generator_card(record.model.name) if record.kind == "generation" else codec_card(record.model.name)
    )
    known = {option.name for option in card.options}
    options = {
        name: str(value) for name, value in record.options.items() if name in known and value is not None
    }
    evaluator = record.evaluator
    measured = record.origin == "measured"
    return Wanted(
        model=record.model.name,
        kind=record.kind,
        options=options,
        samples=record.samples,
        seed=record.seeds.get("run", 0),
        labels=str(record.options["labels"]) if "labels" in record.options else None,
        reference=evaluator.reference if evaluator and measured else None,
        reference_limit=evaluator.reference_count
        if evaluator and measured and record.kind == "generation"
        else None,
        evaluator=evaluator.name if evaluator and measured else PUBLISHED_EVALUATOR,
    )


def options_of(record: Record, card: Card) -> dict[str, Any]:
    """Return a record's options as the model takes them."""
    return parse_options(card, wanted_again(record).options)


def labels_of(record: Record) -> list[int]:
    """Return the label of every sample of a generation record.

    Raises:
        UserError: the reference that they were drawn from is not here or has changed.
    """
    card = generator_card(record.model.name)
    policy = str(record.options.get("labels", "balanced"))
    evaluator = record.evaluator
    source = open_given(evaluator.reference).source if evaluator and policy == "reference" else None
    return choose_labels(policy, source, card, record.samples, record.seeds.get("run", 0))[1]


def measure_again(
    wanted: Wanted, loading: LoadOptions, progress: Progress, *, batch_size: int = BATCH_SIZE
) -> tuple[Record, Sketch | None]:
    """Measure, and return the record with its sketch.

    Args:
        wanted: what.
        loading: device and precision.
        progress: shows how far it is.
        batch_size: images at a time.

    Raises:
        UserError: the model, its weights, the reference or the evaluator are not on this machine.
    """
    if wanted.kind == "reconstruction":
        return _reconstruction(wanted, loading, progress, batch_size)
    return _generation(wanted, loading, progress, batch_size)


def _generation(
    wanted: Wanted, loading: LoadOptions, progress: Progress, batch_size: int
) -> tuple[Record, Sketch | None]:
    if wanted.samples is None:
        raise UserError(f"It is not said how many samples of '{wanted.model}' to generate.")
    card = generator_card(wanted.model)
    options = parse_options(card, wanted.options)
    generator = load_generator(card, loading)
    name = reference_name(card, wanted.reference)
    opened = open_given(name)
    policy, labels = choose_labels(wanted.labels, opened.source, card, wanted.samples, wanted.seed)
    panel = load_panel([wanted.evaluator], loading.device)
    total = len(opened.source) if opened.source else 0
    limit = wanted.reference_limit if wanted.reference_limit and wanted.reference_limit < total else None
    with progress(f"Reading {name}", limit or total) as bar:
        references = measure_reference(
            opened, card.image_size, distinct_extractors(panel.evaluators), limit=limit, on_images=bar.advance
        )
    run = GenerationRun(labels=labels, seed=wanted.seed, options=options, batch_size=batch_size)
    with progress(f"Sampling {card.name}", wanted.samples) as bar:
        measurement = measure_generation(generator, run, references, panel, on_images=bar.advance)
    scored = _only(measurement)
    record = generation_record(
        generator, measurement, scored, options=options, seed=wanted.seed, labels=policy
    )
    return record, measurement.sketch(scored)


def _reconstruction(
    wanted: Wanted, loading: LoadOptions, progress: Progress, batch_size: int
) -> tuple[Record, Sketch | None]:
    card = codec_card(wanted.model)
    options = parse_options(card, wanted.options)
    tokenizer = load_codec(card, loading)
    data = wanted.reference or held_out_data()
    source = spread(open_source(data), wanted.samples)
    panel = load_panel([wanted.evaluator], loading.device)
    run = ReconstructionRun(source=source, seed=wanted.seed, options=options, batch_size=batch_size)
    with progress(f"Reconstructing {data}", len(source)) as bar:
        measurement = measure_reconstruction(tokenizer, run, panel, on_images=bar.advance)
    scored = _only(measurement)
    record = reconstruction_record(tokenizer, measurement, scored, options=options, seed=wanted.seed)
    return record, measurement.sketch(scored)


def _only(measurement: Measurement) -> Scored:
    results = measurement.results
    if not results:
        raise UserError(
            "The evaluator could not score.",
            why=" ".join(measurement.missing.values()) or "It gave no result.",
        )
    return results[0]
