"""A sketch of a run: what is kept of some samples so that the run can be checked later without all of it.

Of ``SAMPLES`` samples, in blocks spread evenly over the run, it keeps hashes of image and codes, the features
projected to a few directions, and by how much the sample moved the distance and the inception score. That is a few
tens of kilobytes, in a file beside the record and named by its own content.

Shapes: k samples of the sketch, D pooled features, P projected features.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from dar_bench.errors import UserError
from dar_bench.files import write_bytes
from dar_bench.hashing import sha256_bytes
from dar_bench.metrics.frechet import frechet_influences
from dar_bench.metrics.inception_score import divergences

if TYPE_CHECKING:
    import torch

    from dar_bench.api import GeneratedBatch
    from dar_bench.evaluators.base import Side
    from dar_bench.features.base import Features

SAMPLES = 200
BLOCK = 20
DIRECTIONS = 32
_HASH_BYTES = 8

Hashes = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Sketch:
    """What is kept of k samples.

    Attributes:
        indices: int64 (k,), their places in the run, rising.
        images: uint8 (k, 8), beginning of the SHA-256 of each image's pixels.
        codes: uint8 (k, 8), of its codes; ``None`` for models without.
        features: float32 (k, P), projected by ``project``; stored with 11 bits of precision.
        influences: kind of score (``FD``, ``IS``) to float32 (k,): how a sample moves the score, up to a factor.
        extractor: fingerprint of the extractor of ``features``.
    """

    indices: npt.NDArray[np.int64]
    images: Hashes
    codes: Hashes | None
    features: FloatArray
    influences: Mapping[str, FloatArray] = field(default_factory=dict)
    extractor: str

    def __len__(self) -> int:
        return len(self.indices)

    def to_bytes(self) -> bytes:
        """Return the file's content; equal sketches have equal bytes."""
        largest = float(np.abs(self.features).max(initial=0.0)) or 1.0
        arrays: dict[str, npt.NDArray[np.generic]] = {
            "indices": self.indices,
            "images": self.images,
            "features": (self.features / np.float32(largest)).astype(np.float16),
            "largest": np.array([largest], dtype=np.float32),
            **{f"influence.{name}": values for name, values in self.influences.items()},
        }
        if self.codes is not None:
            arrays["codes"] = self.codes
        return save(arrays, metadata={"extractor": self.extractor})

    def digest(self) -> str:
        """Return the SHA-256 of ``to_bytes``, which the record holds."""
        return sha256_bytes(self.to_bytes())


@dataclass(frozen=True, kw_only=True)
class SampleHashes:
    """Hashes of images and codes, uint8 (k, 8) each; codes ``None`` for models without."""

    images: Hashes
    codes: Hashes | None


class SketchCollector:
    """Watches a run go by and keeps the hashes of the samples of its sketch.

    Args:
        count: samples of the run.
    """

    def __init__(self, count: int):
        self._choose(sketch_indices(count))

    @classmethod
    def of(cls, indices: npt.NDArray[np.int64]) -> SketchCollector:
        """Return one that keeps these samples, indices rising."""
        collector = cls(0)
        collector._choose(indices)
        return collector

    def _choose(self, indices: npt.NDArray[np.int64]) -> None:
        self._chosen = indices
        self._wanted = set(self._chosen.tolist())
        self._images: dict[int, bytes] = {}
        self._codes: dict[int, bytes] = {}

    def over(self, batches: Iterable[GeneratedBatch]) -> Iterator[GeneratedBatch]:
        """Yield the batches as they come."""
        for batch in batches:
            if batch.final:
                self.add(batch.indices, batch.images, batch.codes)
            yield batch

    def add(self, indices: Iterable[int], images: torch.Tensor, codes: torch.Tensor | None) -> None:
        """Take finished images, uint8 (B, 3, H, W), and codes, int64 (B, N), of these places in the run."""
        for row, index in enumerate(indices):
            if index in self._wanted:
                self._images[index] = _hash(images[row])
                if codes is not None:
                    self._codes[index] = _hash(codes[row])

    def take(
        self, indices: Iterable[int], images: npt.NDArray[np.uint8], codes: npt.NDArray[np.uint8] | None
    ) -> None:
        """Take SHA-256, uint8 (B, 32), of finished images' pixels and of codes (int64), of these places in the run."""
        for row, index in enumerate(indices):
            if index in self._wanted:
                self._images[index] = images[row].tobytes()[:_HASH_BYTES]
                if codes is not None:
                    self._codes[index] = codes[row].tobytes()[:_HASH_BYTES]

    def hashes(self) -> SampleHashes:
        """Return what was kept so far of the chosen samples, which must all have come."""
        kept = self._chosen.tolist()
        return SampleHashes(
            images=_stack([self._images[index] for index in kept]),
            codes=_stack([self._codes[index] for index in kept]) if self._codes else None,
        )

    def sketch(self, samples: Features, reference: Side | None = None) -> Sketch:
        """Return the sketch.

        Args:
            samples: features of all samples of the run, in order.
            reference: what they are compared with, for the influences; without, they are left out.
        """
        kept, hashes = self._chosen, self.hashes()
        return Sketch(
            indices=kept,
            images=hashes.images,
            codes=hashes.codes,
            features=project(samples.pool[kept]),
            influences={
                name: values[kept].astype(np.float32)
                for name, values in _influences(samples, reference).items()
            },
            extractor=samples.fingerprint,
        )


def sketch_indices(count: int) -> npt.NDArray[np.int64]:
    """Return the places of the sketch's samples in a run of ``count``: whole blocks, spread evenly."""
    if count <= SAMPLES:
        return np.arange(count, dtype=np.int64)
    starts = np.linspace(0, count - BLOCK, SAMPLES // BLOCK).astype(np.int64)
    return np.asarray((starts[:, None] + np.arange(BLOCK)).ravel(), dtype=np.int64)


def project(pool: npt.NDArray[np.floating]) -> FloatArray:
    """Return features (k, D) in ``DIRECTIONS`` directions of random signs, (k, P).

    Distances survive within about 1 / sqrt(P) (Achlioptas 2003). The signs are the bits of SHA-256 in counter mode:
    the same on every machine and version.
    """
    width = pool.shape[1]
    needed = -(-width * DIRECTIONS // 256)
    stream = b"".join(hashlib.sha256(f"sketch {block}".encode()).digest() for block in range(needed))
    bits = np.unpackbits(np.frombuffer(stream, dtype=np.uint8))[: width * DIRECTIONS]
    signs = bits.reshape(width, DIRECTIONS).astype(np.float64) * 2.0 - 1.0
    return np.asarray(pool.astype(np.float64) @ signs / np.sqrt(width), dtype=np.float32)


def sketch_path(record_path: Path, digest: str) -> Path:
    """Return where the sketch of a record lies: in the same folder, named by its hash."""
    return record_path.parent / f"sketch-{digest[:12]}.safetensors"


def write_sketch(folder: Path, sketch: Sketch) -> Path:
    """Write a sketch into a folder of records and return its path."""
    path = sketch_path(folder / "record", sketch.digest())
    if not path.is_file():
        write_bytes(path, sketch.to_bytes())
    return path


def read_sketch(record_path: Path, digest: str | None) -> Sketch:
    """Read the sketch of a record.

    Args:
        record_path: the record's file. digest: what the record says of its sketch.

    Raises:
        UserError: the record has none, or the file is missing, damaged or another.
    """
    if digest is None:
        raise UserError(
            f"The record '{record_path.name}' has no sketch.",
            why="It was made without one, by an older version or from features alone.",
            hint="Measure again with 'dar-bench eval gfid'.",
        )
    path = sketch_path(record_path, digest)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"The sketch '{path}' cannot be opened.",
            why=error.strerror or str(error),
            hint="Copy it from where the record came from; it belongs beside the record.",
        ) from error
    if sha256_bytes(data) != digest:
        raise UserError(f"The sketch '{path}' is damaged or was changed.", why="It does not have its hash.")
    try:
        with safe_open(path, framework="numpy") as file:
            names = file.keys()
            arrays = {name: file.get_tensor(name) for name in names}
            extractor = (file.metadata() or {}).get("extractor", "")
    except SafetensorError as error:
        raise UserError(f"The sketch '{path}' cannot be read.", why=str(error)) from error
    return Sketch(
        indices=arrays["indices"],
        images=arrays["images"],
        codes=arrays.get("codes"),
        features=arrays["features"].astype(np.float32) * arrays["largest"],
        influences={
            name.removeprefix("influence."): values
            for name, values in arrays.items()
            if name.startswith("influence.")
        },
        extractor=extractor,
    )


def _influences(samples: Features, reference: Side | None) -> dict[str, npt.NDArray[np.float64]]:
    found = {}
    if reference is not None:
        known = reference.statistics.get("pool")
        if known is None and reference.features is not None:
            known_or_vectors = reference.features.pool
            found["FD"] = frechet_influences(known_or_vectors, samples.pool)[1]
        elif known is not None:
            found["FD"] = frechet_influences(known, samples.pool)[1]
    if samples.probabilities is not None:
        found["IS"] = divergences(samples.probabilities)
    return found


def _hash(row: torch.Tensor) -> bytes:
    return hashlib.sha256(row.contiguous().cpu().numpy().tobytes()).digest()[:_HASH_BYTES]


def _stack(hashes: list[bytes]) -> Hashes:
    return np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(-1, _HASH_BYTES)
