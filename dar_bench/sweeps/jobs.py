"""The work on one shard, as plain data that any process can do: codes of labels, codes of images, images of codes.

Images become features as they come and are forgotten; of each only its SHA-256 stays.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from dar_bench.api import CodeGenerator, SampleKeys
from dar_bench.array_files import Arrays
from dar_bench.data import ImageSource, open_source
from dar_bench.data.subset import spread
from dar_bench.decoding import decode_prefixes
from dar_bench.errors import UserError
from dar_bench.evaluation.measuring import Stopwatch
from dar_bench.evaluators.pixels import PairScorer
from dar_bench.features.base import Extractor
from dar_bench.generation import GenerationRun, generate, only_final
from dar_bench.memory import PeakMemory
from dar_bench.options import parse_options
from dar_bench.reconstruction import square_batches
from dar_bench.sweeps.made import Made, View, ViewCollector, collected
from dar_bench.sweeps.worker import ModelSpec, Worker

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Samples ``start`` to ``stop`` of a run.

    Attributes:
        start, stop: first and last-plus-one sample.
        seed: the run's.
        batch_size: samples at a time.
        labels: class of each; empty for reconstructions.
    """

    start: int
    stop: int
    seed: int
    batch_size: int
    labels: tuple[int, ...] = ()

    def batches(self) -> Iterator[tuple[slice, SampleKeys]]:
        """Yield the place of every batch in the segment, and its keys."""
        for start in range(self.start, self.stop, self.batch_size):
            stop = min(start + self.batch_size, self.stop)
            keys = SampleKeys(seed=self.seed, indices=tuple(range(start, stop)))
            yield slice(start - self.start, stop - self.start), keys


@dataclass(frozen=True, kw_only=True)
class Data:
    """Images of a source.

    Attributes:
        name: as ``open_source`` takes it.
        limit: so many of them, spread evenly.
    """

    name: str
    limit: int | None = None

    def open(self) -> ImageSource:
        """Open them."""
        return spread(open_source(self.name), self.limit)


class Job(Protocol):
    """Work on one shard."""

    @property
    def model(self) -> ModelSpec:
        """The model that does it."""
        ...

    def run(self, worker: Worker, codes: Arrays | None) -> Made:
        """Do it, with the shard's codes where the job needs some."""
        ...


@dataclass(frozen=True, kw_only=True)
class SampleJob:
    """Codes of labels. ``options`` are the model's texts, with ``tokens`` the count of codes to make."""

    model: ModelSpec
    options: Mapping[str, str]
    segment: Segment

    def run(self, worker: Worker, codes: Arrays | None) -> Made:
        """Return codes, (n, tokens)."""
        import torch

        loaded = worker.generator(self.model)
        model = loaded.model
        if not isinstance(model, CodeGenerator):
            raise UserError(f"'{self.model.name}' has no codes.")
        options = parse_options(loaded.card, self.options)
        labels = torch.tensor(self.segment.labels, dtype=torch.int64)
        started = time.perf_counter()
        with PeakMemory(self.model.loading.device) as memory:
            found = [model.codes(labels[rows], keys, options).cpu() for rows, keys in self.segment.batches()]
        seconds = time.perf_counter() - started
        return Made(
            spent={"model": seconds, **_facts(memory, self.segment)},
            codes=_stored(torch.cat(found), model.tokenizer.card.codebook_size),
        )


@dataclass(frozen=True, kw_only=True)
class EncodeJob:
    """Codes of images."""

    model: ModelSpec
    data: Data
    segment: Segment

    def run(self, worker: Worker, codes: Arrays | None) -> Made:
        """Return codes, (n, tokens)."""
        import torch

        loaded = worker.tokenizer(self.model)
        found, seconds = [], 0.0
        with PeakMemory(self.model.loading.device) as memory:
            for images in _originals(self.data, loaded.card.image_size, self.segment):
                started = time.perf_counter()
                found.append(loaded.model.encode(images).cpu())
                seconds += time.perf_counter() - started
        return Made(
            spent={"model": seconds, **_facts(memory, self.segment)},
            codes=_stored(torch.cat(found), loaded.card.codebook_size),
        )


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """Which features are wanted.

    Attributes:
        evaluators: names, in whose extractors' features.
        device: torch device string.
        missing: view to the fingerprints of the extractors whose features are not there yet.
    """

    evaluators: tuple[str, ...]
    device: str
    missing: Mapping[View, tuple[str, ...]]

    def extractors(self, worker: Worker, view: View) -> list[Extractor]:
        """Return the extractors that a view still needs."""
        known = worker.extractors(self.evaluators, self.device)
        found = [one for one in known if one.fingerprint() in self.missing[view]]
        if len(found) < len(self.missing[view]):
            raise UserError(
                "An extractor is another here than the plan was made for.",
                why=f"Planned {', '.join(self.missing[view])}.",
                hint="Install the same versions and weights on every machine.",
            )
        return found


@dataclass(frozen=True, kw_only=True)
class DecodeJob:
    """Images of codes, as features: of a generator's tokenizer, or of a tokenizer beside the originals."""

    model: ModelSpec
    options: Mapping[str, str]
    segment: Segment
    extraction: Extraction
    originals: Data | None = None

    def run(self, worker: Worker, codes: Arrays | None) -> Made:
        """Return hashes, features, and pixel scores beside originals."""
        import torch

        if codes is None:
            raise ValueError("a decoding needs codes")
        loaded = (
            worker.generator(self.model).tokenizer if self.originals is None else worker.tokenizer(self.model)
        )
        if loaded is None:
            raise UserError(f"'{self.model.name}' has no codes.")
        options = parse_options(loaded.card, self.options)
        tokens = torch.from_numpy(codes["codes"].astype(np.int64)).to(loaded.options.device)
        views = sorted(self.extraction.missing)
        collectors = {
            view: ViewCollector(
                self.extraction.extractors(worker, view),
                self.segment.start,
                PairScorer(worker.lpips(self.extraction.device)) if self.originals else None,
            )
            for view in views
        }
        originals = (
            _originals(self.originals, loaded.card.image_size, self.segment) if self.originals else None
        )
        seconds: dict[View, float] = {}
        with PeakMemory(self.model.loading.device) as memory:
            for rows, keys in self.segment.batches():
                images = decode_prefixes(loaded.model, tokens[rows], keys, options, views, seconds)
                before = next(originals) if originals else None
                for view in views:
                    collectors[view].add(images[view], before)
        whole = codes["codes"].astype(np.int64)
        prefixes = {view: whole[:, :view] for view in views}
        return collected(collectors, prefixes, spent=_facts(memory, self.segment), seconds=seconds)


@dataclass(frozen=True, kw_only=True)
class GenerateJob:
    """Images of a generator without codes, as features."""

    model: ModelSpec
    options: Mapping[str, str]
    segment: Segment
    extraction: Extraction

    def run(self, worker: Worker, codes: Arrays | None) -> Made:
        """Return hashes and features of view 0."""
        loaded = worker.generator(self.model)
        collector = ViewCollector(self.extraction.extractors(worker, 0), self.segment.start)
        run = GenerationRun(
            labels=self.segment.labels,
            seed=self.segment.seed,
            options=parse_options(loaded.card, self.options),
            first=self.segment.start,
            batch_size=self.segment.batch_size,
        )
        clock = Stopwatch()
        with PeakMemory(self.model.loading.device) as memory:
            for images in clock.over(only_final(generate(loaded.model, run), lambda count: None)):
                collector.add(images)
        facts = _facts(memory, self.segment)
        return collected({0: collector}, {}, spent=facts, seconds={0: clock.seconds})


def _facts(memory: PeakMemory, segment: Segment) -> dict[str, float]:
    """Return what a shard took besides time, where the system tells it."""
    peak = {} if memory.bytes is None else {"memory": memory.bytes}
    return {**peak, "batch": segment.batch_size}


def _originals(data: Data, size: int, segment: Segment) -> Iterator[torch.Tensor]:
    batches = square_batches(data.open(), size, segment.batch_size, segment.stop, first=segment.start)
    return (images for _, images in batches)


def _stored(codes: torch.Tensor, codebook_size: int) -> Arrays:
    """Return codes in the smallest type that holds them, as they are stored."""
    return {"codes": codes.numpy().astype(np.uint16 if codebook_size <= 2**16 else np.uint32)}
