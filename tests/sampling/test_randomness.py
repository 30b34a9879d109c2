"""Per-sample randomness: frozen values, independence of the batch, and the right distributions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from dar_bench.api import SampleKeys
from dar_bench.sampling.randomness import integers, normals, uniforms, words

KEYS = SampleKeys(seed=7, indices=(0, 1, 123456))
FROZEN_WORDS = np.array(
    [
        [4510154998946454984, 15065890305701953645],
        [8393378307715795355, 12998049159042236481],
        [14467821958150219004, 16773201871387761413],
    ],
    dtype=np.uint64,
)
FROZEN_UNIFORMS = [
    [0.24449599240520525, 0.816723549993518, 0.9548099285285749],
    [0.4550059497859087, 0.7046256568153489, 0.5020383552539559],
    [0.7843021999079977, 0.909277095424827, 0.9957879540822022],
]
FROZEN_INTEGERS = [[626, 894, 42], [856, 559, 313], [643, 964, 577]]
FROZEN_NORMALS = [
    [0.17026850581169128, 1.2610920667648315, 0.6945343017578125],
    [1.2336238622665405, 0.6260414123535156, -1.4233949184417725],
    [1.230940818786621, -0.5358710289001465, 0.7108266353607178],
]
MANY = SampleKeys(seed=0, indices=tuple(range(200)))


def test_values_are_frozen() -> None:
    # Every published sample depends on these: a change here changes all images of all runs.
    np.testing.assert_array_equal(words(KEYS, "tokens", 2), FROZEN_WORDS)
    np.testing.assert_array_equal(uniforms(KEYS, "tokens", 3), FROZEN_UNIFORMS)
    np.testing.assert_array_equal(integers(KEYS, "crop", -3, 1000, 3), FROZEN_INTEGERS)
    # One unit in the last place is left to the mathematical library's logarithm, sine and cosine.
    np.testing.assert_allclose(normals(KEYS, "noise", (3,)).numpy(), FROZEN_NORMALS, rtol=2e-7)


@pytest.mark.parametrize("draw", [uniforms, lambda keys, use, n: normals(keys, use, (n,)).numpy()])
def test_rows_depend_on_their_index_alone(draw) -> None:  # type: ignore[no-untyped-def]
    together = draw(KEYS, "x", 5)
    for row, index in enumerate(KEYS.indices):
        alone = draw(SampleKeys(seed=7, indices=(index,)), "x", 5)
        np.testing.assert_array_equal(together[row], alone[0])
    backwards = draw(SampleKeys(seed=7, indices=KEYS.indices[::-1]), "x", 5)
    np.testing.assert_array_equal(backwards, together[::-1])


def test_seed_index_and_use_all_count() -> None:
    rows = np.concatenate(
        [
            uniforms(SampleKeys(seed=seed, indices=(1, 11)), use, 4)
            for seed in (0, 1, 11, -1)
            for use in ("", "a", "1|a")
        ]
    )
    assert len(np.unique(rows)) == rows.size


def test_more_values_keep_the_first() -> None:
    np.testing.assert_array_equal(uniforms(KEYS, "x", 9)[:, :4], uniforms(KEYS, "x", 4))
    assert torch.equal(normals(KEYS, "x", (9,))[:, :5], normals(KEYS, "x", (5,)))
    np.testing.assert_array_equal(integers(KEYS, "x", 0, 9, 9)[:, :4], integers(KEYS, "x", 0, 9, 4))


def test_shapes_and_types() -> None:
    noise = normals(KEYS, "noise", (3, 5, 7))
    assert (noise.shape, noise.dtype) == ((3, 3, 5, 7), torch.float32)
    assert normals(KEYS, "noise", ()).shape == (3,)
    assert uniforms(KEYS, "x", 0).shape == (3, 0)
    assert integers(KEYS, "x", 0, 2, 4).dtype == np.int64


def test_distributions() -> None:
    unit = uniforms(MANY, "u", 500)
    assert unit.min() > 0
    assert unit.max() <= 1
    assert stats.kstest(unit.ravel(), "uniform").pvalue > 0.01
    assert stats.kstest(normals(MANY, "n", (500,)).numpy().ravel(), "norm").pvalue > 0.01
    counts = np.bincount(integers(MANY, "i", 10, 17, 500).ravel() - 10, minlength=7)
    assert len(counts) == 7
    assert stats.chisquare(counts).pvalue > 0.01


def test_neighbouring_samples_are_uncorrelated() -> None:
    noise = normals(MANY, "n", (2000,)).numpy()
    correlation = np.corrcoef(noise)
    np.fill_diagonal(correlation, 0)
    # The largest of 19900 correlations of 2000 independent pairs lies near 4.2 / sqrt(2000) = 0.094.
    assert np.abs(correlation).max() < 5.5 / np.sqrt(2000)


def test_integers_reach_both_ends_of_a_wide_range() -> None:
    values = integers(MANY, "i", 5, 5 + 2**32 - 1, 500)
    assert values.min() >= 5
    assert values.max() < 5 + 2**32 - 1
    assert stats.kstest((values.ravel() - 5) / (2**32 - 1), "uniform").pvalue > 0.01


@pytest.mark.parametrize(("low", "high"), [(3, 3), (4, 3), (0, 2**32)])
def test_impossible_ranges(low: int, high: int) -> None:
    with pytest.raises(ValueError, match="0 < high - low"):
        integers(KEYS, "x", low, high, 1)
