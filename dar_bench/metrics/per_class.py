"""Frechet distance of every class by itself: which classes a generator does badly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dar_bench.errors import UserError
from dar_bench.metrics.estimate import Estimate, FloatArray, check_features, check_same_width
from dar_bench.metrics.frechet import frechet_estimate

MINIMUM = 50
"""Fewest images of a class on either side: what a generated ImageNet set of 50,000 has of each. Distances of so
few carry a large bias, the same for all classes of equal counts; they rank classes, they are no scores."""

_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class PerClassDistances:
    """Distances by class.

    Attributes:
        distances: class to its distance.
        left_out: class to its counts (reference, samples), where one is below the minimum.
        mean: over the classes, with the error that comes from the errors of the classes.
    """

    distances: Mapping[int, Estimate]
    left_out: Mapping[int, tuple[int, int]]
    mean: Estimate


def per_class_distances(
    reference: FloatArray,
    reference_labels: NDArray[np.integer],
    samples: FloatArray,
    sample_labels: NDArray[np.integer],
    *,
    minimum: int = MINIMUM,
) -> PerClassDistances:
    """Return the Frechet distance of every class that has images enough on both sides.

    Args:
        reference, samples: features (n, D) and (m, D).
        reference_labels, sample_labels: class of every row, negative where it has none.
        minimum: fewest images of a class on either side, at least 2.

    Raises:
        UserError: no class has enough, labels are missing, or the features are refused.
    """
    check_features(reference, "reference")
    check_features(samples, "samples")
    check_same_width(reference, samples)
    for features, labels, what in (
        (reference, reference_labels, "reference"),
        (samples, sample_labels, "samples"),
    ):
        if len(labels) != len(features):
            raise ValueError(f"{len(features)} rows of features but {len(labels)} labels of the {what}")
        if not (labels >= 0).any():
            raise UserError(
                f"The {what} have no labels.",
                why="Distances by class need the class of every image on both sides.",
                hint="Use class folders, or an npz with the labels as arr_1.",
            )
    minimum = max(2, minimum)
    distances: dict[int, Estimate] = {}
    left_out: dict[int, tuple[int, int]] = {}
    labelled = np.union1d(reference_labels, sample_labels)
    for label in labelled[labelled >= 0].tolist():
        one, other = reference[reference_labels == label], samples[sample_labels == label]
        if min(len(one), len(other)) < minimum:
            left_out[label] = (len(one), len(other))
        else:
            distances[label] = frechet_estimate(one, other)
    if not distances:
        raise UserError(
            f"No class has {minimum} images on both sides.",
            why=f"Counts of reference and samples: {describe_left_out(left_out)}.",
            hint="Use more samples, or fewer classes.",
        )
    values = np.array([one.value for one in distances.values()])
    errors = np.array([one.stderr for one in distances.values()])
    mean = Estimate(
        value=float(values.mean()),
        stderr=float(np.sqrt((errors**2).sum())) / len(values),
        n=sum(one.n for one in distances.values()),
    )
    return PerClassDistances(distances=distances, left_out=left_out, mean=mean)


def describe_left_out(left_out: Mapping[int, tuple[int, int]]) -> str:
    """Return the classes that were left out with their counts, the first few by name."""
    named = [f"class {label}: {one} and {other}" for label, (one, other) in list(left_out.items())[:_NAMED]]
    more = len(left_out) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")
