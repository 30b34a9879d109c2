"""The work on one shard, as plain data that any process can do: codes of labels, codes of images, images of codes.

Images become features as they come and are forgotten; of each only its SHA-256 stays.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from dar_bench.api import CodeGenerator, SampleKeys
from dar_bench.array_files import Arrays
from dar_bench.data import ImageSource, open_source
from dar_bench.data.subset import spread
from dar_bench.decoding import decode_prefixes
from dar_bench.errors import UserError
from dar_bench.evaluation.extraction import FeatureCollector
from dar_bench.evaluators.pixels import PairScorer
from dar_bench.features.base import Extractor, Features
from dar_bench.generation import GenerationRun, generate, only_final
from dar_bench.hashing import sha256_bytes
from dar_bench.options import parse_options
from dar_bench.reconstruction import square_batches
from dar_bench.sweeps.worker import ModelSpec, Worker

if TYPE_CHECKING:
    import torch

View = int
"""Which images of a shard: the count of codes that they are decoded from; 0 where there are no codes."""


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


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a job made.

    Attributes:
        seconds: spent in the model.
        wall: spent in all of the job; the executor adds it.
        codes: integer (n, N), of a job that makes codes.
        hashes: view to ``images``, uint8 (n, 32), SHA-256 of every image's bytes, and where there are codes ``codes``,
            of the codes that it was decoded from, as int64.
        features: view and extractor's fingerprint to features.
        pairs: view to the pixel scores of every pair, for reconstructions.
    """

    seconds: float
    wall: float = 0.0
    codes: Arrays = field(default_factory=dict)
    hashes: Mapping[View, Arrays] = field(default_factory=dict)
    features: Mapping[tuple[View, str], Features] = field(default_factory=dict)
    pairs: Mapping[View, Arrays] = field(default_factory=dict)

    def times(self) -> dict[str, float]:
        """Return the times as runs keep them."""
        return {"model": self.seconds, "wall": self.wall}


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
        found = [model.codes(labels[rows], keys, options).cpu() for rows, keys in self.segment.batches()]
        seconds = time.perf_counter() - started
        return Made(seconds=seconds, codes=_stored(torch.cat(found), model.tokenizer.card.codebook_size))


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
        for images in _originals(self.data, loaded.card.image_size, self.segment):
            started = time.perf_counter()
            found.append(loaded.model.encode(images).cpu())
            seconds += time.perf_counter() - started
        return Made(seconds=seconds, codes=_stored(torch.cat(found), loaded.card.codebook_size))


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
            view: _Collector(
                self.extraction.extractors(worker, view),
                PairScorer(worker.lpips(self.extraction.device)) if self.originals else None,
            )
            for view in views
        }
        originals = (
            _originals(self.originals, loaded.card.image_size, self.segment) if self.originals else None
        )
        seconds = 0.0
        for rows, keys in self.segment.batches():
            started = time.perf_counter()
            images = decode_prefixes(loaded.model, tokens[rows], keys, options, views)
            seconds += time.perf_counter() - started
            before = next(originals) if originals else None
            for view in views:
                collectors[view].add(images[view], before)
        whole = codes["codes"].astype(np.int64)
        return _made(seconds, collectors, {view: whole[:, :view] for view in views})


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
        collector = _Collector(self.extraction.extractors(worker, 0), None)
        run = GenerationRun(
            labels=self.segment.labels,
            seed=self.segment.seed,
            options=parse_options(loaded.card, self.options),
            first=self.segment.start,
            batch_size=self.segment.batch_size,
        )
        seconds = 0.0
        started = time.perf_counter()
        for images in only_final(generate(loaded.model, run), lambda count: None):
            seconds += time.perf_counter() - started
            collector.add(images, None)
            started = time.perf_counter()
        return _made(seconds, {0: collector}, {})


class _Collector:
    """Takes the images of one view and keeps what is wanted of them."""

    def __init__(self, extractors: Sequence[Extractor], pairs: PairScorer | None):
        self.features = FeatureCollector(extractors)
        self.pairs = pairs
        self.hashes: list[bytes] = []

    def add(self, images: torch.Tensor, originals: torch.Tensor | None) -> None:
        self.features.add(images)
        self.hashes += [_hash(image.numpy().tobytes()) for image in images]
        if self.pairs is not None and originals is not None:
            self.pairs.add(originals.numpy(), images.numpy())


def _made(
    seconds: float, collectors: Mapping[View, _Collector], codes: Mapping[View, NDArray[np.int64]]
) -> Made:
    hashes: dict[View, Arrays] = {
        view: {
            "images": _rows(one.hashes),
            **({"codes": _rows(_hash(row.tobytes()) for row in codes[view])} if view in codes else {}),
        }
        for view, one in collectors.items()
    }
    return Made(
        seconds=seconds,
        hashes=hashes,
        features={
            (view, fingerprint): features
            for view, one in collectors.items()
            for fingerprint, features in one.features.features().items()
        },
        pairs={view: one.pairs.arrays() for view, one in collectors.items() if one.pairs is not None},
    )


def _hash(data: bytes) -> bytes:
    return bytes.fromhex(sha256_bytes(data))


def _rows(digests: Iterable[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, 32)


def _originals(data: Data, size: int, segment: Segment) -> Iterator[torch.Tensor]:
    batches = square_batches(data.open(), size, segment.batch_size, segment.stop, first=segment.start)
    return (images for _, images in batches)


def _stored(codes: torch.Tensor, codebook_size: int) -> Arrays:
    """Return codes in the smallest type that holds them, as they are stored."""
    return {"codes": codes.numpy().astype(np.uint16 if codebook_size <= 2**16 else np.uint32)}
