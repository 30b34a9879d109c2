"""Verifying a stored record: load its model, make samples again, hold them against its sketch."""

from __future__ import annotations

from pathlib import Path

from dar_bench.api import LoadOptions
from dar_bench.errors import UserError
from dar_bench.evaluators.names import load_evaluator
from dar_bench.loading import generator_card, load_generator
from dar_bench.remeasuring import Progress, labels_of, options_of
from dar_bench.results.store import StoredRecord
from dar_bench.sketches import read_sketch
from dar_bench.verification import Verification, check_same_model, choose, judge, regenerate


def verify_record(
    item: StoredRecord,
    loading: LoadOptions,
    progress: Progress,
    *,
    samples: int,
    batch_size: int,
    weights: Path | None = None,
) -> Verification:
    """Return whether samples of a record, made again by seed, are those of its sketch.

    Args:
        item: the record, of generated images.
        loading: device and precision.
        progress: shows how far it is.
        samples: how many to make; at most those of the sketch.
        batch_size: images at a time; does not change them.
        weights: a file to use instead of the model's own.

    Raises:
        UserError: not a generation record, no sketch, other weights, or something that is not on this machine.
    """
    record = item.record
    if record.kind != "generation" or record.origin != "measured" or record.evaluator is None:
        raise UserError(
            f"'{item.name}' is no record of generated images that were measured here.",
            hint="'dar-bench results list --kind generation --origin measured' shows those.",
        )
    sketch = read_sketch(item.path, record.sketch)
    card = generator_card(record.model.name)
    generator = load_generator(card, loading, weights)
    check_same_model(record, generator)
    extractor = load_evaluator(record.evaluator.name, loading.device).extractor
    labels = labels_of(record)
    count = len(choose(sketch.indices, samples))
    with progress(f"Sampling {card.name} again", count) as bar:
        made = regenerate(
            generator,
            extractor,
            sketch,
            labels,
            seed=record.seeds.get("run", 0),
            options=options_of(record, card),
            samples=samples,
            batch_size=batch_size,
            on_images=bar.advance,
        )
    rounded = {record.environment.precision, loading.dtype} != {"float32"}
    return judge(sketch, made, reduced_precision=rounded)
