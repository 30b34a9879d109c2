"""Precision and recall as ADM's evaluator plans them in TensorFlow, for `evaluators.py` to compare with.

Written from its description: blocks of 10,000 x 10,000 distances in float16, unless one of them is not finite; a whole
row of blocks is kept for the radii, the fourth smallest of every row.
"""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

BLOCK = 10_000


def _squared(u: Any, v: Any) -> Any:
    norm_u = tf.reduce_sum(tf.square(u), 1)[:, None]
    norm_v = tf.reduce_sum(tf.square(v), 1)[None]
    return tf.maximum(norm_u - 2 * tf.matmul(u, v, transpose_b=True) + norm_v, 0.0)


@tf.function(reduce_retracing=True)
def _distances(u: Any, v: Any) -> Any:
    half = _squared(tf.cast(u, tf.float16), tf.cast(v, tf.float16))
    finite = tf.reduce_all(tf.math.is_finite(half))
    return tf.cond(finite, lambda: tf.cast(half, tf.float32), lambda: _squared(u, v))


@tf.function(reduce_retracing=True)
def _inside(u: Any, u_radii: Any, v: Any, v_radii: Any) -> Any:
    distances = _distances(u, v)
    return (
        tf.reduce_any(distances <= v_radii[None], axis=1),
        tf.reduce_any(distances <= u_radii[:, None], axis=0),
    )


def _radii(features: Any) -> Any:
    found = []
    for start in range(0, len(features), BLOCK):
        rows = features[start : start + BLOCK]
        kept = np.empty((len(rows), len(features)), dtype=np.float32)
        for at in range(0, len(features), BLOCK):
            kept[:, at : at + BLOCK] = _distances(rows, features[at : at + BLOCK]).numpy()
        found.append(np.partition(kept, range(4), axis=1)[:, 3])
    return np.concatenate(found)


def precision_recall(reference: Any, samples: Any) -> tuple[float, float]:
    """Return precision and recall of features (n, D) and (m, D), float32."""
    reference_radii, sample_radii = _radii(reference), _radii(samples)
    recalled = np.zeros(len(reference), dtype=bool)
    precise = np.zeros(len(samples), dtype=bool)
    for start in range(0, len(reference), BLOCK):
        rows = slice(start, start + BLOCK)
        for at in range(0, len(samples), BLOCK):
            columns = slice(at, at + BLOCK)
            first, second = _inside(
                reference[rows], reference_radii[rows], samples[columns], sample_radii[columns]
            )
            recalled[rows] |= first.numpy()
            precise[columns] |= second.numpy()
    return float(precise.mean()), float(recalled.mean())
