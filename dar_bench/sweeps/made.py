"""What a job makes of one shard: arrays, and what it took to make them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dar_bench.array_files import Arrays
from dar_bench.evaluation.extraction import FeatureCollector
from dar_bench.evaluators.pixels import PairScorer
from dar_bench.features.base import Extractor, Features
from dar_bench.hashing import sha256_bytes
from dar_bench.lint.looks import Looks

if TYPE_CHECKING:
    import torch

View = int
"""Which images of a shard: the count of codes that they are decoded from; 0 where there are no codes."""

Spent = Mapping[str, float]
"""What a shard took, as runs keep it: seconds (``model``, ``wall``, and ``extraction_name`` of every extractor), bytes
(``memory``), and the samples at a time (``batch``)."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a job made.

    Attributes:
        spent: on all of the job, of ``memory`` and ``batch``, for codes also of ``model``; the executor adds ``wall``.
        view_spent: view to what its images took: ``model``, the seconds of decoding or generating them as if alone,
            and every extractor's.
        codes: integer (n, N), of a job that makes codes.
        hashes: view to ``images``, uint8 (n, 32), SHA-256 of every image's bytes, and where there are codes ``codes``,
            of the codes that it was decoded from, as int64; with what the lint needs (``dar_bench.lint.looks``).
        pixels: view to the first images, uint8 (m, 3, H, W), of a job that makes those.
        features: view and extractor's fingerprint to features.
        pairs: view to the pixel scores of every pair, for reconstructions.
    """

    spent: Spent
    view_spent: Mapping[View, Spent] = field(default_factory=dict)
    codes: Arrays = field(default_factory=dict)
    hashes: Mapping[View, Arrays] = field(default_factory=dict)
    features: Mapping[tuple[View, str], Features] = field(default_factory=dict)
    pairs: Mapping[View, Arrays] = field(default_factory=dict)
    pixels: Mapping[View, NDArray[np.uint8]] = field(default_factory=dict)

    def after(self, wall: float) -> Made:
        """Return it with the seconds of the whole job, where they are not there yet."""
        return replace(self, spent={"wall": wall, **self.spent})


class ViewCollector:
    """Takes the images of one view, batch by batch, and keeps what is wanted of them.

    Args:
        extractors: whose features are wanted.
        first: running number of the first image.
        pairs: compares with originals, for reconstructions.
    """

    def __init__(self, extractors: Sequence[Extractor], first: int, pairs: PairScorer | None = None):
        self.looks = Looks(first)
        self.features = FeatureCollector(extractors)
        self.pairs = pairs
        self.hashes: list[bytes] = []

    def add(self, images: torch.Tensor, originals: torch.Tensor | None = None) -> None:
        """Take a batch, uint8 (b, 3, H, W), with the images that it reconstructs."""
        self.features.add(images)
        self.hashes += [_hash(image.numpy().tobytes()) for image in images]
        before = None if originals is None else originals.numpy()
        self.looks.add(images.numpy(), before)
        if self.pairs is not None and before is not None:
            self.pairs.add(before, images.numpy())


def collected(
    collectors: Mapping[View, ViewCollector],
    codes: Mapping[View, NDArray[np.int64]],
    *,
    spent: Spent,
    seconds: Mapping[View, float],
) -> Made:
    """Return what came of a job's images.

    Args:
        collectors: of every view.
        codes: int64 (n, view) that the images were decoded from; no views where there are none.
        spent: on all of the job.
        seconds: in the model, for every view.
    """
    hashes: dict[View, Arrays] = {
        view: {
            "images": _rows(one.hashes),
            **one.looks.arrays(),
            **({"codes": _rows(_hash(row.tobytes()) for row in codes[view])} if view in codes else {}),
        }
        for view, one in collectors.items()
    }
    extraction = {
        view: {extraction_name(fingerprint): value for fingerprint, value in one.features.seconds.items()}
        for view, one in collectors.items()
    }
    return Made(
        spent=spent,
        view_spent={view: {"model": seconds[view], **extraction[view]} for view in collectors},
        hashes=hashes,
        features={
            (view, fingerprint): features
            for view, one in collectors.items()
            for fingerprint, features in one.features.features().items()
        },
        pairs={view: one.pairs.arrays() for view, one in collectors.items() if one.pairs is not None},
        pixels={view: kept for view, one in collectors.items() if (kept := one.looks.pixels()) is not None},
    )


def extraction_name(fingerprint: str) -> str:
    """Return the name that an extractor's seconds are kept by."""
    return f"extraction {sha256_bytes(fingerprint.encode())[:16]}"


def _hash(data: bytes) -> bytes:
    return bytes.fromhex(sha256_bytes(data))


def _rows(digests: Iterable[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, 32)
