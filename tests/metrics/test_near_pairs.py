"""Distances that are left out, or computed another way, change no number: beside plain loops over all pairs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dar_bench.metrics import near_pairs
from dar_bench.metrics.distances import (
    Arithmetic,
    Points,
    distances_again,
    pair_distances,
    prepare,
    sums_alike,
    tile_distances,
    tiles,
)
from dar_bench.metrics.near_pairs import nearest
from dar_bench.metrics.outlines import lower_bounds
from dar_bench.metrics.precision_recall import manifold_scores

Array = npt.NDArray[np.float32]
KINDS = (
    "normal",
    "lattice",
    "copies",
    "tight",
    "subnormal",
    "mixed",
    "large",
    "overflow",
    "shifted",
    "one-value",
)
ARITHMETICS: tuple[Arithmetic, ...] = ("adm-float16", "float32")
OUTLINES = (torch.float32, torch.bfloat16)


def clouds(kind: str, seed: int, width: int, count: int) -> tuple[Array, Array]:
    """Two sets of features that are hard in one way each."""
    random = np.random.default_rng(seed)
    shape = (2 * count, width)
    noise = random.normal(size=shape)
    rows = {
        "normal": lambda: noise,
        "lattice": lambda: (
            random.integers(0, 3, size=shape) * 0.5
        ),  # ties everywhere, sums on roundings' edges
        "copies": lambda: noise[random.integers(0, 4, size=len(noise))],
        "tight": lambda: noise[random.integers(0, 3, size=len(noise))] + 1e-3 * random.normal(size=shape),
        "subnormal": lambda: noise * 2e-6,
        "mixed": lambda: noise * 10.0 ** random.integers(-7, 1, size=shape),
        "large": lambda: noise * 100 / np.sqrt(width),  # norms near a quarter of float16's range
        "overflow": lambda: noise * 10.0 ** random.integers(0, 4, size=(len(noise), 1)),
        "shifted": lambda: 20 / np.sqrt(width) * (2 + 0.05 * noise),
        "one-value": lambda: np.full(shape, 0.7),
    }[kind]().astype(np.float32)
    return rows[:count], rows[count:]


def plain_distances(first: Points, second: Points, size: int) -> Array:
    """All distances, tile by tile."""
    found = np.full((len(first), len(second)), np.nan, dtype=np.float32)
    for tile in tiles(first, second, size=size):
        if tile.again:
            forward = backward = distances_again(first, second, tile.rows, tile.columns)
        else:
            forward, backward = tile_distances(first, second, tile.rows, tile.columns)
        found[tile.rows, tile.columns] = forward.numpy()
        if first is second and tile.rows != tile.columns:
            found[tile.columns, tile.rows] = backward.numpy().T
    assert not np.isnan(found).any()
    return found


def plain_scores(
    real: Points, fake: Points, k: int, density_k: int, size: int
) -> tuple[float, float, float, float]:
    within, between = np.sort(plain_distances(real, real, size), axis=1), plain_distances(real, fake, size)
    fake_radii = np.sort(plain_distances(fake, fake, size), axis=1)[:, k]
    inside = between <= within[:, density_k, None]
    return (
        float((between <= within[:, k, None]).any(axis=0).mean()),
        float((between <= fake_radii).any(axis=1).mean()),
        float((inside.sum(axis=0) / density_k).mean()),
        float(inside.any(axis=1).mean()),
    )


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    arithmetic=st.sampled_from(ARITHMETICS),
    seed=st.integers(0, 2**31),
    width=st.sampled_from([1, 3, 8, 37, 130]),
    count=st.integers(7, 24),
    tile=st.sampled_from([1, 5, 16, 64]),
)
def test_scores_are_those_of_all_distances(
    kind: str,
    arithmetic: Arithmetic,
    seed: int,
    width: int,
    count: int,
    tile: int,
) -> None:
    reference, samples = clouds(kind, seed, width, count)
    real, fake = prepare(reference, samples, arithmetic=arithmetic)
    for points in (real, fake):
        expected = np.sort(plain_distances(points, points, tile), axis=1)[:, :6]
        found = nearest(points, 6, size=tile)
        np.testing.assert_array_equal(
            np.stack([found.smallest(number).numpy() for number in range(6)], axis=1), expected
        )
    scores = manifold_scores(reference, samples, arithmetic=arithmetic, block_bytes=64 * tile**2)
    assert (
        scores.precision.value,
        scores.recall.value,
        scores.density.value,
        scores.coverage.value,
    ) == plain_scores(real, fake, 3, 5, tile)


@pytest.mark.parametrize("outline", OUTLINES, ids=str)
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@settings(max_examples=40, deadline=None)
@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 2**31), width=st.sampled_from([1, 8, 130, 700]))
def test_bounds_hold(arithmetic: Arithmetic, outline: torch.dtype, kind: str, seed: int, width: int) -> None:
    points, others = prepare(*clouds(kind, seed, width, 60), arithmetic=arithmetic, kind=outline)
    if any(tile.again for tile in tiles(points, others)) or any(tile.again for tile in tiles(points, points)):
        return  # such blocks have no bounds
    whole = slice(0, 60)
    for first, second in ((points, others), (points, points)):
        bounds = lower_bounds(first.outline, second.outline, whole, whole)
        for distances in tile_distances(first, second, whole, whole):
            assert bool((bounds <= first.outline.limits(distances)).all())


@pytest.mark.parametrize("outline", OUTLINES, ids=str)
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_bounds_leave_most_pairs_out(arithmetic: Arithmetic, outline: torch.dtype) -> None:
    reference, samples = clouds("normal", 0, 256, 300)
    real, fake = prepare(1 + reference, 1 + samples, arithmetic=arithmetic, kind=outline)
    whole = slice(0, 300)
    distances = tile_distances(real, fake, whole, whole)[0]
    limit = distances.flatten().kthvalue(900).values  # a hundredth of all
    share = (
        (lower_bounds(real.outline, fake.outline, whole, whole) <= real.outline.limits(limit)).float().mean()
    )
    assert 0.01 <= float(share) < 0.03


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("kind", ["normal", "copies", "tight"])
def test_single_pairs_have_the_numbers_of_whole_tiles(
    kind: str, arithmetic: Arithmetic, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference, samples = clouds(kind, 1, 2048, 1200)
    found = []
    for whole in (-1.0, near_pairs._WHOLE, 1.0):  # never single pairs, as it is, always
        monkeypatch.setattr(near_pairs, "_WHOLE", whole)
        found.append(
            manifold_scores(reference[:1200], samples[:700], arithmetic=arithmetic, block_bytes=64 * 600**2)
        )
    assert found[0] == found[1] == found[2]
    real, fake = prepare(reference, samples, arithmetic=arithmetic)
    rows, columns = torch.arange(0, 1024, 3), torch.arange(1023, -1, -3)[:342]
    single = pair_distances(real, fake, rows, columns)
    tile = tile_distances(real, fake, slice(0, 1024), slice(0, 1024))
    for one, other in zip(single, tile, strict=True):
        if sums_alike(2048):
            assert torch.equal(one, other[rows, columns])
        else:  # another order of the sum: a rounding of the product, to float32 or from there to float16
            coarse = 2**-9 if arithmetic == "adm-float16" else 2**-18
            torch.testing.assert_close(one, other[rows, columns], rtol=0, atol=coarse * float(other.max()))


def test_a_machine_that_sums_otherwise_computes_whole_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    reference, samples = clouds("normal", 2, 64, 1100)

    def scores() -> object:
        return manifold_scores(reference, samples, arithmetic="float32")

    monkeypatch.setattr(near_pairs, "_WHOLE", 1.0)  # few pairs or many
    monkeypatch.setattr(near_pairs, "sums_alike", lambda width: True)
    calls = []
    monkeypatch.setattr(
        near_pairs, "pair_distances", lambda *given: calls.append(1) or pair_distances(*given)
    )
    scores()
    assert calls
    calls.clear()
    monkeypatch.setattr(near_pairs, "sums_alike", lambda width: False)
    scores()
    assert not calls
