"""Samples that were made again are told apart: the same, rounded, others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kstest

from dar_bench.sketches import Sketch, sketch_indices
from dar_bench.verification import Verification, _same_mean, choose, judge

RANDOM = np.random.default_rng(0)
FEATURES = RANDOM.normal(size=(200, 32)).astype(np.float32)


def sketch(
    features: np.ndarray[tuple[int, int], np.dtype[np.float32]] = FEATURES, changed: int = 0
) -> Sketch:
    images = np.arange(200 * 8, dtype=np.int64).reshape(200, 8).astype(np.uint8)
    images[:, 0] = np.arange(200)
    images[:changed, 1] += 1
    return Sketch(
        indices=np.arange(200) * 3,
        images=images,
        codes=images[:, :8].copy(),
        features=features,
        extractor="toy",
    )


def judged(changed: int, noise: float, *, reduced: bool = False, shift: float = 0.0) -> Verification:
    features = FEATURES.copy()
    # Typical distances are sqrt(2 * 32) = 8.
    if noise:
        features[:changed] = RANDOM.normal(size=(changed, 32)) * noise + (
            FEATURES[:changed] if noise < 0.5 else 0.0
        )
    return judge(sketch(), sketch(features + np.float32(shift), changed), reduced_precision=reduced)


def test_identical_samples_are_consistent() -> None:
    found = judged(0, 0.0)
    assert found.verdict == "consistent" and found.passed
    assert (found.samples, found.identical, found.close, found.different, found.same_codes) == (
        200,
        200,
        0,
        0,
        200,
    )
    assert found.sentence() == "Consistent: all 200 samples are identical."


def test_rounding_is_told_from_other_images() -> None:
    found = judged(150, 0.02)
    assert found.verdict == "consistent up to rounding" and found.passed
    assert (found.identical, found.close, found.different) == (50, 150, 0) and 0 < found.largest < 0.1


def test_as_many_as_rounding_explains_may_be_others() -> None:
    # 99.9 % of binomial counts at 1 % of 200 are at most 8.
    assert judged(8, 1.0).verdict == "consistent up to rounding"
    found = judged(9, 1.0)
    assert found.verdict == "not consistent" and not found.passed and found.allowed == 8
    assert "9 are other images (at most 8" in found.sentence()


def test_in_reduced_precision_the_distribution_must_agree() -> None:
    assert judged(200, 1.0).verdict == "not consistent"
    found = judged(200, 1.0, reduced=True)
    assert found.verdict == "consistent in distribution" and found.passed
    assert judged(200, 1.0, reduced=True, shift=0.6).verdict == "not consistent"


@pytest.mark.parametrize("count", [66, 100, 200])
def test_equal_distributions_have_uniform_p_values(count: int) -> None:
    random = np.random.default_rng(count)
    pairs = random.normal(size=(400, 2, count, 32)).astype(np.float32)
    found = [_same_mean(first, second) for first, second in pairs]
    # Of 400 uniform numbers the Kolmogorov statistic stays below 1.95 / sqrt(400) in 99.9 % of draws.
    assert kstest(found, "uniform").statistic < 1.95 / 20


def test_a_part_of_the_sketch_is_held_against_the_right_rows() -> None:
    kept = sketch()
    rows = np.array([5, 6, 7, 100])
    made = replace(
        kept, indices=kept.indices[rows], images=kept.images[rows], codes=None, features=kept.features[rows]
    )
    found = judge(kept, made)
    assert found.verdict == "consistent" and found.samples == 4 and found.same_codes is None


@pytest.mark.parametrize(("count", "samples"), [(64, 40), (64, 64), (64, 1), (5000, 200), (5000, 50)])
def test_the_wanted_number_is_chosen(count: int, samples: int) -> None:
    indices = sketch_indices(count)
    chosen = choose(indices, samples)
    assert len(chosen) == samples and set(chosen.tolist()) <= set(indices.tolist())
    assert (np.diff(chosen) > 0).all()
