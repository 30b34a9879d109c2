"""Sketches: small, the same bytes for the same run, and refused when they are not the record's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dar_bench.api import GeneratedBatch
from dar_bench.errors import UserError
from dar_bench.evaluators.base import Side
from dar_bench.features.base import Features
from dar_bench.metrics.frechet import frechet_influences
from dar_bench.sketches import (
    BLOCK,
    SAMPLES,
    Sketch,
    SketchCollector,
    project,
    read_sketch,
    sketch_indices,
    write_sketch,
)


def batches(count: int, size: int, seed: int = 0) -> list[GeneratedBatch]:
    images = torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (count, 3, 8, 8)).astype(np.uint8))
    found = []
    for start in range(0, count, size):
        rows = slice(start, min(start + size, count))
        indices = tuple(range(count))[rows]
        codes = torch.tensor(indices)[:, None]
        labels = torch.zeros(len(indices), dtype=torch.int64)
        for done in (1, 2):
            found.append(
                GeneratedBatch(
                    indices=indices,
                    labels=labels,
                    images=images[rows] // (3 - done),
                    codes=codes,
                    groups_done=done,
                    groups=2,
                )
            )
    return found


def features(count: int, width: int = 24, seed: int = 1) -> Features:
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.ones(5), count).astype(np.float32)
    pool = random.gamma(2.0, 0.3, (count, width)).astype(np.float32)
    return Features(pool=pool, probabilities=probabilities, extractor="toy", fingerprint="toy;1")


def sketch(count: int = 500, size: int = 32, seed: int = 0) -> Sketch:
    collector = SketchCollector(count)
    assert sum(1 for _ in collector.over(batches(count, size, seed))) > 0
    reference = features(300, seed=2)
    side = Side(name="r", fingerprint="r", features=reference, count=300)
    return collector.sketch(features(count), side)


def test_indices_are_blocks_spread_over_the_run() -> None:
    assert sketch_indices(150).tolist() == list(range(150))
    chosen = sketch_indices(50_000)
    assert len(set(chosen.tolist())) == SAMPLES and chosen[0] == 0 and chosen[-1] == 49_999
    assert (np.diff(chosen) > 0).all()
    assert int((np.diff(chosen) == 1).sum()) == SAMPLES // BLOCK * (BLOCK - 1)
    tight = sketch_indices(SAMPLES + 1)
    assert len(set(tight.tolist())) == len(tight)


def test_the_batch_size_does_not_matter() -> None:
    one, other = sketch(size=32), sketch(size=7)
    assert one.to_bytes() == other.to_bytes() and one.digest() == other.digest()
    assert sketch(seed=3).digest() != one.digest()


def test_a_sketch_of_a_large_run_is_small() -> None:
    assert len(sketch(2000).to_bytes()) < 24_000


def test_influences_are_those_of_the_whole_run() -> None:
    found = sketch()
    _, expected = frechet_influences(features(300, seed=2).pool, features(500).pool)
    np.testing.assert_allclose(found.influences["FD"], expected[found.indices], rtol=1e-6)
    assert set(found.influences) == {"FD", "IS"}


def test_written_sketches_are_read_again(tmp_path: Path) -> None:
    kept = sketch()
    path = write_sketch(tmp_path, kept)
    assert path.name == f"sketch-{kept.digest()[:12]}.safetensors"
    read = read_sketch(tmp_path / "record.json", kept.digest())
    assert (read.indices == kept.indices).all() and (read.images == kept.images).all()
    assert read.codes is not None and kept.codes is not None and (read.codes == kept.codes).all()
    # float16 has 11 bits of precision, relative to the largest value.
    largest = np.abs(kept.features).max()
    assert np.abs(read.features - kept.features).max() <= largest * 2.0**-11
    assert read.extractor == "toy;1"


def test_what_is_not_the_records_sketch_is_refused(tmp_path: Path) -> None:
    kept = sketch()
    record = tmp_path / "record.json"
    with pytest.raises(UserError, match="has no sketch"):
        read_sketch(record, None)
    with pytest.raises(UserError, match="cannot be opened"):
        read_sketch(record, kept.digest())
    path = write_sketch(tmp_path, kept)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match="was changed"):
        read_sketch(record, kept.digest())


def test_projection_is_fixed_and_keeps_distances() -> None:
    random = np.random.default_rng(5)
    points = random.normal(size=(40, 1280)).astype(np.float32)
    projected = project(points)
    assert projected.shape == (40, 32)
    # The first signs are the bits of SHA-256 of "sketch 0": 1e.. would be another stream.
    unit = np.zeros((1, 1280), dtype=np.float32)
    unit[0, 0] = np.sqrt(1280.0)
    import hashlib

    bits = np.unpackbits(np.frombuffer(hashlib.sha256(b"sketch 0").digest(), dtype=np.uint8))[:32]
    np.testing.assert_allclose(project(unit)[0], bits * 2.0 - 1.0, rtol=1e-6)
    full = np.linalg.norm(points[1:] - points[:-1], axis=1) * np.sqrt(32 / 1280)
    ratio = np.linalg.norm(np.diff(projected, axis=0), axis=1) / full
    # The squared ratio is chi-squared with 32 degrees of freedom over 32: a standard deviation of 0.25.
    assert abs((ratio**2).mean() - 1) < 4 * 0.25 / np.sqrt(39)
