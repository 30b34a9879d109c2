"""Several processes for one measurement (``torchrun --nproc_per_node N -m dar_bench eval gfid|rfid ...``).

Batch k of the run is made or reconstructed, and its features extracted, by process k modulo N; the first process
receives them in the order of the run and does everything else, so its records are those of a single process, bit for
bit on equal devices. Memory stays at N batches.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from dar_bench import process_group
from dar_bench.errors import UserError
from dar_bench.evaluators.pixels import PairScorer
from dar_bench.generation import GenerationRun, generate
from dar_bench.reconstruction import ReconstructedBatch, ReconstructionRun, reconstruct
from dar_bench.runs.processes import Processes, launched

if TYPE_CHECKING:
    from dar_bench.api import Autoencoder, GeneratedBatch, Generator, Tokenizer
    from dar_bench.evaluation.measuring import Stopwatch
    from dar_bench.features.base import Extractor, Features
    from dar_bench.metrics.estimate import Float64Array
    from dar_bench.metrics.lpips import Lpips

T = TypeVar("T")

# The first process may read a large reference while the others wait for it.
_PATIENCE = datetime.timedelta(days=7)


def join_team() -> Processes:
    """Return this process's team, joined to the others of a launcher where there is one.

    Raises:
        UserError: the launcher's variables make no sense, or the others cannot be reached.
    """
    team = launched()
    if team.size > 1:
        import torch.distributed as dist

        try:
            # Features and images are on the CPU when they are sent.
            dist.init_process_group("gloo", timeout=_PATIENCE)
        except (RuntimeError, ValueError) as error:
            raise UserError(
                "The processes of the launcher cannot reach each other.",
                why=str(error).splitlines()[0],
                hint="Start them with torchrun.",
            ) from error
        process_group.joined()
    return team


def extracted_batches(
    team: Processes,
    generator: Generator,
    run: GenerationRun,
    extractors: Sequence[Extractor],
    clock: Stopwatch,
) -> Iterator[tuple[GeneratedBatch, dict[str, Features]]]:
    """Yield the run's final batches with their features by every extractor, in order, on the first process.

    The other processes make their batches, send them, and yield nothing.

    Args:
        team: who shares the work.
        generator: makes the images. run: which; previews are left out.
        extractors: of different fingerprints.
        clock: counts the time that this process spends in the generator.
    """
    count = -(-len(run.labels) // run.batch_size)
    yield from _in_order(team, count, lambda number: _make(generator, run, number, extractors, clock))


@dataclass(frozen=True, kw_only=True)
class ComparedBatch:
    """A batch of reconstructions with all that is measured on it.

    Attributes:
        batch: the originals and what became of them.
        originals, decoded: their features, by the extractor's fingerprint.
        pairs: their pixel scores (``PairScorer.arrays``).
    """

    batch: ReconstructedBatch
    originals: dict[str, Features]
    decoded: dict[str, Features]
    pairs: dict[str, Float64Array]


def compared_batches(
    team: Processes,
    tokenizer: Tokenizer | Autoencoder,
    run: ReconstructionRun,
    extractors: Sequence[Extractor],
    lpips: Lpips | None,
    clock: Stopwatch,
) -> Iterator[ComparedBatch]:
    """Yield the run's batches with their features and pixel scores, in order, on the first process.

    The other processes make their batches, send them, and yield nothing.

    Args:
        team: who shares the work.
        tokenizer: encodes and decodes, or an autoencoder that does. run: which images, and how.
        extractors: of different fingerprints. lpips: the perceptual distance, where it can be had.
        clock: is given the time that this process spends in the tokenizer.
    """

    def make(number: int) -> ComparedBatch:
        start = number * run.batch_size
        part = replace(run, first=start, limit=min(start + run.batch_size, run.count))
        (batch,) = reconstruct(tokenizer, part)
        clock.seconds += batch.seconds
        pairs = PairScorer(lpips)
        pairs.add(batch.originals.numpy(), batch.images.numpy())
        return ComparedBatch(
            batch=batch,
            originals={one.fingerprint(): one.extract(batch.originals) for one in extractors},
            decoded={one.fingerprint(): one.extract(batch.images) for one in extractors},
            pairs=pairs.arrays(),
        )

    yield from _in_order(team, -(-run.count // run.batch_size), make)


def _in_order(team: Processes, count: int, make: Callable[[int], T]) -> Iterator[T]:
    """Yield ``make(0)`` to ``make(count - 1)`` on the first process, made by all of them in turn."""
    for first in range(0, count, team.size):
        own = first + team.rank
        made = make(own) if own < count else None
        gathered = [made] if team.size == 1 else _gather(team, made)
        yield from (item for item in gathered if item is not None)


def _make(
    generator: Generator, run: GenerationRun, number: int, extractors: Sequence[Extractor], clock: Stopwatch
) -> tuple[GeneratedBatch, dict[str, Features]]:
    start = number * run.batch_size
    labels = run.labels[start : start + run.batch_size]
    part = replace(run, labels=labels, first=run.first + start, previews=False)
    for batch in clock.over(generate(generator, part)):
        if batch.final:
            features = {one.fingerprint(): one.extract(batch.images) for one in extractors}
            codes = None if batch.codes is None else batch.codes.cpu()
            return replace(batch, codes=codes, labels=batch.labels.cpu()), features
    raise ValueError("the generator ended without final images")


def _gather(team: Processes, item: Any) -> list[Any]:
    import torch.distributed as dist

    gathered: list[Any] | None = [None] * team.size if team.is_main else None
    try:
        dist.gather_object(item, gathered)
    except RuntimeError as error:
        raise UserError(
            "Another process of this measurement ended before its work was done.",
            hint="Its message says why.",
        ) from error
    return gathered or []
