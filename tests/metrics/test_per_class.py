from __future__ import annotations

import numpy as np
import pytest

from dar_bench.errors import UserError
from dar_bench.metrics.frechet import frechet_distance
from dar_bench.metrics.per_class import per_class_distances

random = np.random.default_rng(0)
REFERENCE = random.normal(size=(300, 6))
SAMPLES = random.normal(size=(240, 6))
REFERENCE_LABELS = np.arange(300) % 3
SAMPLE_LABELS = np.arange(240) % 4  # class 3 has no reference
SAMPLES[SAMPLE_LABELS == 1] += 2.0


def test_every_class_is_compared_with_itself() -> None:
    found = per_class_distances(REFERENCE, REFERENCE_LABELS, SAMPLES, SAMPLE_LABELS)
    assert list(found.distances) == [0, 1, 2]
    for label, estimate in found.distances.items():
        expected = frechet_distance(REFERENCE[label::3], SAMPLES[label::4])
        assert estimate.value == pytest.approx(expected, rel=1e-10)
        assert estimate.n == 60
    assert found.distances[1].value > 20 > 5 > found.distances[0].value  # shifted by 2 in each of 6
    assert found.mean.value == pytest.approx(np.mean([one.value for one in found.distances.values()]))
    assert found.mean.n == 180


def test_classes_with_too_few_images_are_left_out_and_named() -> None:
    found = per_class_distances(REFERENCE, REFERENCE_LABELS, SAMPLES, SAMPLE_LABELS)
    assert found.left_out == {3: (0, 60)}
    with pytest.raises(UserError, match=r"class 0: 100 and 60, class 1: 100 and 60.*class 3: 0 and 60"):
        per_class_distances(REFERENCE, REFERENCE_LABELS, SAMPLES, SAMPLE_LABELS, minimum=61)


def test_images_without_a_class_belong_to_none() -> None:
    labels = np.where(np.arange(300) < 150, REFERENCE_LABELS, -1)
    found = per_class_distances(REFERENCE, labels, SAMPLES, SAMPLE_LABELS)
    assert found.distances[0].value == pytest.approx(frechet_distance(REFERENCE[:150:3], SAMPLES[::4]))
    with pytest.raises(UserError, match="The samples have no labels"):
        per_class_distances(REFERENCE, labels, SAMPLES, np.full(240, -1))
