"""The nodes of a plan: what each makes, where it is kept, and the jobs that make it shard by shard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dar_bench.features.base import Features
from dar_bench.features.store import FeatureKey, FeatureStore, StoredFeatures
from dar_bench.runs.filling import Shard
from dar_bench.runs.folder import Run, RunKey, RunStore
from dar_bench.runs.shards import SHARD, ranges
from dar_bench.sweeps.jobs import (
    Data,
    DecodeJob,
    EncodeJob,
    Extraction,
    GenerateJob,
    Job,
    SampleJob,
    Segment,
)
from dar_bench.sweeps.made import Made, View
from dar_bench.sweeps.worker import ModelSpec

PIXELS = "pixels"
"""Name that a view's first images are kept by, for the lint."""

VERSION = 1
"""Rises when a node's code makes other arrays of the same key; what older versions made is then made again."""


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Which samples a node makes.

    Attributes:
        count: how many.
        seed: of the run.
        batch_size: at a time.
        labels: class of each; empty for reconstructions.
        shard: how many are kept together.
    """

    count: int
    seed: int
    batch_size: int
    labels: tuple[int, ...] = ()
    shard: int = SHARD

    def segment(self, shard: Shard) -> Segment:
        """Return the samples of one shard."""
        start, stop = shard
        labels = self.labels[start:stop]
        return Segment(start=start, stop=stop, seed=self.seed, batch_size=self.batch_size, labels=labels)


class Node(Protocol):
    """Work of one kind on all samples of a run."""

    title: str
    samples: Samples
    source: CodesNode | None

    def done(self, shard: Shard) -> bool:
        """Tell whether a shard is there."""
        ...

    def job(self, shard: Shard) -> Job:
        """Return the work that makes what is missing of a shard."""
        ...

    def commit(self, shard: Shard, made: Made) -> None:
        """Keep what a job made."""
        ...

    def lock_path(self, start: int) -> Path:
        """Return the file whose lock guards the making of the shard that begins at ``start``."""
        ...

    def shards(self) -> list[Shard]:
        """Return first and last-plus-one sample of all shards."""
        ...


class CodesNode:
    """Codes of labels, or of images.

    Args:
        title: for people.
        key: what the codes depend on.
        samples: which.
        model: makes them.
        options: texts of the model's options, for codes of labels.
        tokens: codes of a sample. group: how many of them are made at a time at least.
        data: the images, for codes of images.
    """

    source: CodesNode | None = None

    def __init__(
        self,
        *,
        title: str,
        key: RunKey,
        samples: Samples,
        model: ModelSpec,
        options: Mapping[str, str],
        tokens: int,
        group: int,
        data: Data | None = None,
    ):
        self.title = title
        self.samples = samples
        self.tokens = tokens
        self._group = group
        self._model = model
        self._options = dict(options)
        self._data = data
        self.run: Run = RunStore().open(key, title)

    def done(self, shard: Shard) -> bool:
        """Tell whether a shard is there."""
        return self.run.has(*shard)

    def job(self, shard: Shard) -> Job:
        """Return the work that makes a shard."""
        segment = self.samples.segment(shard)
        if self._data is not None:
            return EncodeJob(model=self._model, data=self._data, segment=segment)
        return SampleJob(model=self._model, options=self._options, segment=segment)

    def commit(self, shard: Shard, made: Made) -> None:
        """Keep a shard's codes."""
        self.run.write(shard[0], made.codes, made.spent)

    def lock_path(self, start: int) -> Path:
        """Return the run's own lock for the shard."""
        return self.run.lock_path(start)

    def share(self, count: int) -> float:
        """Return the share of the time that the first ``count`` codes took: that of their groups.

        Codes of images come all at once, from one pass of the encoder.
        """
        if self._data is not None:
            return 1.0
        return -(-count // self._group) / -(-self.tokens // self._group)

    def shards(self) -> list[Shard]:
        """Return all shards."""
        return list(ranges(self.samples.count, self.samples.shard))


@dataclass(frozen=True, kw_only=True)
class ViewPlace:
    """Where what is kept of one view lies.

    Attributes:
        images: hashes of the images; its key is the view's.
        shelves: extractor's fingerprint to the features.
        pairs: pixel scores, for reconstructions.
    """

    images: Run
    shelves: Mapping[str, StoredFeatures]
    pairs: Run | None


def view_place(
    key: RunKey, title: str, extractors: Mapping[str, str], pairs: RunKey | None = None
) -> ViewPlace:
    """Return where a view is kept.

    Args:
        key: what its images depend on.
        title: for listings.
        extractors: fingerprint to name.
        pairs: key of its pixel scores, for reconstructions.
    """
    store = FeatureStore()
    images = f"made;{key.digest()}"
    return ViewPlace(
        images=RunStore().open(key, title),
        shelves={
            fingerprint: store.open(
                FeatureKey(images=images, extractor=fingerprint), images=title, extractor=name
            )
            for fingerprint, name in extractors.items()
        },
        pairs=RunStore().open(pairs, title) if pairs else None,
    )


class ImagesNode:
    """Images as features: decoded from codes in one pass for all views, or generated.

    Args:
        title: for people.
        samples: which.
        model: makes them.
        options: texts of the options of the model (of its tokenizer, where there is a source).
        views: where what is kept of each lies.
        evaluators: names, for whose extractors; device: that the extractors run on.
        source: codes; ``None`` for a generator without.
        originals: the images that were encoded, for reconstructions.
    """

    def __init__(
        self,
        *,
        title: str,
        samples: Samples,
        model: ModelSpec,
        options: Mapping[str, str],
        views: Mapping[View, ViewPlace],
        evaluators: Sequence[str],
        device: str,
        source: CodesNode | None = None,
        originals: Data | None = None,
    ):
        self.title = title
        self.samples = samples
        self.source = source
        self.views = dict(views)
        self._model = model
        self._options = dict(options)
        self._evaluators = tuple(evaluators)
        self._device = device
        self._data = originals

    def done(self, shard: Shard) -> bool:
        """Tell whether all features of all views are there."""
        return not self._missing(shard)

    def job(self, shard: Shard) -> Job:
        """Return the work that makes the features that are missing."""
        segment = self.samples.segment(shard)
        extraction = Extraction(
            evaluators=self._evaluators, device=self._device, missing=self._missing(shard) or self._all()
        )
        if self.source is None:
            return GenerateJob(
                model=self._model, options=self._options, segment=segment, extraction=extraction
            )
        return DecodeJob(
            model=self._model,
            options=self._options,
            segment=segment,
            extraction=extraction,
            originals=self._data,
        )

    def commit(self, shard: Shard, made: Made) -> None:
        """Keep features, pixel scores and, last, the hashes of the images."""
        start = shard[0]
        for (view, fingerprint), features in made.features.items():
            self.views[view].shelves[fingerprint].write(start, features)
        for view, hashes in made.hashes.items():
            place = self.views[view]
            if place.pairs is not None:
                place.pairs.write(start, made.pairs[view])
            if view in made.pixels:
                place.images.keep_arrays(PIXELS, {"pixels": made.pixels[view]})
            spent = {**made.spent, **made.view_spent[view]}
            if view != max(self.views):
                # The time of the whole pass stands with its last view, to be counted once.
                spent.pop("wall", None)
            place.images.write(start, hashes, spent)

    def lock_path(self, start: int) -> Path:
        """Return the lock of the view that all passes over these codes and options share most often."""
        return self.views[max(self.views)].images.lock_path(start)

    def shards(self) -> list[Shard]:
        """Return all shards."""
        return list(ranges(self.samples.count, self.samples.shard))

    def features(self, view: View, fingerprint: str, shard: Shard) -> Features | None:
        """Return one shard's features, or ``None`` where they are missing or damaged."""
        return self.views[view].shelves[fingerprint].read(*shard)

    def pairs(self, view: View, shard: Shard) -> dict[str, Any] | None:
        """Return one shard's pixel scores, or ``None`` where they are missing or damaged."""
        run = self.views[view].pairs
        return run.read(*shard) if run is not None else None

    def _missing(self, shard: Shard) -> dict[View, tuple[str, ...]]:
        found = {}
        for view, place in self.views.items():
            lacking = tuple(name for name, shelf in place.shelves.items() if not shelf.has(*shard))
            whole = place.images.has(*shard) and (place.pairs is None or place.pairs.has(*shard))
            if lacking or not whole:
                found[view] = lacking
        return found

    def _all(self) -> dict[View, tuple[str, ...]]:
        return {view: tuple(place.shelves) for view, place in self.views.items()}
