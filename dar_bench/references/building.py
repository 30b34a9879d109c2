"""Reference statistics from any images: one pass, in memory that does not grow with their number.

The sums so far are kept beside the target every few thousand images, so that a killed run goes on from there.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dar_bench.data.npz import DAMAGED
from dar_bench.evaluation.extraction import ImageSet, OnImages, feature_shards
from dar_bench.features.store import SHARD
from dar_bench.hashing import sha256_json
from dar_bench.metrics.moments import MomentAccumulator
from dar_bench.references.statistics import About, write_arrays, write_statistics

if TYPE_CHECKING:
    from dar_bench.features.base import Extractor, Features

KEEP_EVERY = 8
"""Shards between two of the sums that are kept: what a killed run loses at most."""


def build_statistics(
    images: ImageSet,
    extractor: Extractor,
    target: Path,
    *,
    crop: str,
    on_images: OnImages = lambda count: None,
) -> About:
    """Write the mean and covariance of a set's features, pooled and, where the extractor has them, spatial.

    Stored features are used; new ones are summed and not stored, for a training set's would fill a disk.

    Args:
        images: which. extractor: whose features.
        target: the npz file to write; its sums stand in ``.NAME.partial`` beside it until it is complete.
        crop: how the images were cut, for a reader.
        on_images: told how many images were done.

    Returns:
        What the file says of itself.

    Raises:
        UserError: an image cannot be read, too few images, or the disk is full.
    """
    partial = target.with_name(f".{target.name}.partial")
    key = sha256_json({"images": images.fingerprint, "extractor": extractor.fingerprint()})
    sums = _Sums.resume(partial, key)
    on_images(sums.done)
    for number, (start, features) in enumerate(
        feature_shards([extractor], images, first=sums.done, keep=False, on_images=on_images), start=1
    ):
        sums.add(features[extractor.fingerprint()])
        sums.done = min(start + SHARD, images.count)
        if number % KEEP_EVERY == 0 and sums.done < images.count:
            sums.keep(partial, key)
    about = About(
        extractor=extractor.name,
        fingerprint=extractor.fingerprint(),
        images=images.name,
        images_fingerprint=images.fingerprint,
        count=images.count,
        size=images.size[0] if images.size[0] == images.size[1] else 0,
        crop=crop,
    )
    write_statistics(target, {part: one.gaussian() for part, one in sums.parts.items()}, about)
    partial.unlink(missing_ok=True)
    return about


class _Sums:
    """The moments so far, and how many images they are of."""

    def __init__(self) -> None:
        self.done = 0
        self.parts: dict[str, MomentAccumulator] = {}

    def add(self, features: Features) -> None:
        rows = {"pool": features.pool, "spatial": features.spatial}
        for part, values in rows.items():
            if values is not None:
                self.parts.setdefault(part, MomentAccumulator(values.shape[1])).add(values)

    def keep(self, path: Path, key: str) -> None:
        arrays: dict[str, Any] = {"about": np.array(json.dumps({"key": key, "done": self.done}))}
        for part, moments in self.parts.items():
            arrays |= {f"{part}_{name}": array for name, array in moments.state().items()}
        write_arrays(path, arrays)

    @classmethod
    def resume(cls, path: Path, key: str) -> _Sums:
        """Return the sums that a killed run left, or none where there are none that fit."""
        sums = cls()
        with (
            contextlib.suppress(KeyError, *DAMAGED),
            np.load(path, allow_pickle=False) as kept,
        ):
            about = json.loads(str(kept["about"]))
            if about["key"] == key:
                names = [name.removesuffix("_mean") for name in kept.files if name.endswith("_mean")]
                fields = ("n", "mean", "scatter")
                found = {part: {name: kept[f"{part}_{name}"] for name in fields} for part in names}
                sums.parts = {part: MomentAccumulator.of_state(state) for part, state in found.items()}
                sums.done = int(about["done"])
        return sums
