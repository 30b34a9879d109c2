"""FID and the inception score with the arithmetic of the ADM evaluator, where it shows in the printed digits.

ADM averages features in float32, and where both means are float32 their squared distance is summed in float32 as
well; its inception score is float32 from the probabilities on. The covariances are float64 as everywhere. The trace of
the matrix root is exact here; ADM's own, by Schur decomposition, is off by 1e-5 to 1e-3 where a set has fewer images
than features, and by less than 1e-6 elsewhere.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from dar_bench.metrics.estimate import Estimate, Float64Array, FloatArray
from dar_bench.metrics.frechet import Vectors, frechet_estimate, paired_frechet_estimate
from dar_bench.metrics.inception_score import ADM_SPLIT, inception_score
from dar_bench.metrics.moments import Gaussian

Mean = npt.NDArray[np.float32] | Float64Array


def adm_frechet(reference: Vectors, samples: FloatArray) -> Estimate:
    """Return the distance of samples (n, D) to a reference as ADM computes it, with its standard error."""
    return _with_float32_means(frechet_estimate(reference, samples), reference, samples)


def adm_paired_frechet(originals: FloatArray, reconstructions: FloatArray) -> Estimate:
    """Return the distance of reconstructions to their originals as ADM computes it, with its standard error."""
    estimate = paired_frechet_estimate(originals, reconstructions)
    return _with_float32_means(estimate, originals, reconstructions)


def _with_float32_means(estimate: Estimate, reference: Vectors, samples: FloatArray) -> Estimate:
    """Put ADM's squared distance of the means in the place of the exact one."""
    exact = _exact_mean(reference) - _exact_mean(samples)
    theirs = _adm_mean(reference) - _adm_mean(samples)  # float32 where both are
    value = estimate.value - float(exact @ exact) + float(theirs @ theirs)
    return dataclasses.replace(estimate, value=value)


def _exact_mean(vectors: Vectors) -> Float64Array:
    if isinstance(vectors, Gaussian):
        return vectors.mean
    return np.asarray(vectors.mean(axis=0, dtype=np.float64))


def _adm_mean(vectors: Vectors) -> Mean:
    """Return the mean as ADM has it: a float32 running sum over rows, or what a reference file holds."""
    if not isinstance(vectors, Gaussian):
        return np.asarray(np.ascontiguousarray(vectors, dtype=np.float32).mean(axis=0))
    # A file's mean was float32 if all of it still is, for ADM's own files hold their means in that type.
    narrow = vectors.mean.astype(np.float32)
    return narrow if np.array_equal(narrow, vectors.mean) else vectors.mean


def adm_inception_score(probabilities: FloatArray, *, split_size: int = ADM_SPLIT) -> tuple[Estimate, bool]:
    """Return the mean score of splits in file order, in float32, and whether ADM itself prints ``nan``.

    That happens as soon as one probability underflows to 0; the value is then what it tends to.
    """
    exact = inception_score(probabilities, split_size=split_size)
    rows = np.ascontiguousarray(probabilities, dtype=np.float32)
    scores = []
    for start in range(0, len(rows), split_size):
        part = rows[start : start + split_size]
        with np.errstate(divide="ignore", invalid="ignore"):
            divergence = part * (np.log(part) - np.log(part.mean(axis=0)[None]))
            scores.append(np.exp(divergence.sum(axis=1).mean()))
    value = float(np.mean(scores))
    if not np.isfinite(value):
        return exact.split, True
    return dataclasses.replace(exact.split, value=value), False
