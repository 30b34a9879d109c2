"""The ADM evaluator written down once more, plainly, from its description; run as a process of its own.

    python adm_by_hand.py INPUT.npz GRAPH.pb OUTPUT.npz

Input: images_<k> (n, H, W, 3) uint8, and for every k in `sets` features reference_<k> and samples_<k>.
"""

import sys

import numpy as np
import scipy.linalg
import tensorflow.compat.v1 as tf


def network(path, images):
    """Features of the graph, images of one size at a time."""
    definition = tf.GraphDef()
    with open(path, "rb") as stream:  # noqa: PTH123
        definition.ParseFromString(stream.read())
    with tf.Graph().as_default():
        entry = tf.placeholder(tf.float32, [None, None, None, 3])
        names = ["pool_3:0", "mixed_6/conv:0", "Mul:0", "softmax/logits/MatMul"]
        pool, spatial, resized, matmul = tf.import_graph_def(
            definition, input_map={"ExpandDims:0": entry}, return_elements=names
        )
        features = tf.placeholder(tf.float32, [None, 2048])
        logits = tf.matmul(features, matmul.inputs[1])
        softmax = tf.nn.softmax(logits)
        session = tf.Session()
        for key, batch in images.items():
            found = session.run([pool, spatial[..., :7], resized], {entry: batch.astype(np.float32)})
            flat = [array.reshape(len(batch), -1) for array in found[:2]]
            scores = session.run([logits, softmax], {features: flat[0]})
            names = ("pool", "spatial", "resized", "logits", "softmax")
            yield from zip((f"{name}_{key}" for name in names), (*flat, found[2], *scores), strict=True)


def frechet(first, second):
    """The distance with a matrix root."""
    mu1, mu2 = first.mean(axis=0), second.mean(axis=0)
    sigma1, sigma2 = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    difference = mu1 - mu2
    root = scipy.linalg.sqrtm(sigma1 @ sigma2).real
    return difference.dot(difference) + np.trace(sigma1) + np.trace(sigma2) - 2 * np.trace(root)


def inception_score(probabilities, size):
    """Splits in file order."""
    scores = []
    for start in range(0, len(probabilities), size):
        part = probabilities[start : start + size]
        divergence = part * (np.log(part) - np.log(np.expand_dims(np.mean(part, 0), 0)))
        scores.append(np.exp(np.mean(np.sum(divergence, 1))))
    return float(np.mean(scores))


def squared(u, v):
    """Distances in whatever precision u and v have."""
    norm_u = tf.reshape(tf.reduce_sum(tf.square(u), 1), [-1, 1])
    norm_v = tf.reshape(tf.reduce_sum(tf.square(v), 1), [1, -1])
    return tf.maximum(norm_u - 2 * tf.matmul(u, v, transpose_b=True) + norm_v, 0.0)


def block(u, v):
    """Distances in float16, unless one of them is not finite."""
    half = squared(tf.cast(u, tf.float16), tf.cast(v, tf.float16)).numpy()
    return half.astype(np.float32) if np.isfinite(half).all() else squared(u, v).numpy()


def manifolds(reference, samples):
    """Norms, distances, radii, and which rows are inside."""
    reference, samples = tf.constant(reference), tf.constant(samples)
    between = block(reference, samples)
    radii = [np.partition(block(x, x), range(4), axis=1)[:, 3] for x in (reference, samples)]
    norms = tf.reduce_sum(tf.square(tf.cast(reference, tf.float16)), 1).numpy()
    return {
        "norms": norms,
        "distances": between,
        "reference_radii": radii[0],
        "sample_radii": radii[1],
        "precise": (between <= radii[0][:, None]).any(axis=0),
        "recalled": (between <= radii[1]).any(axis=1),
    }


def main(source, graph, target):
    """Compute everything that the input asks for."""
    given = np.load(source)
    images = {key.removeprefix("images_"): given[key] for key in given if key.startswith("images_")}
    results = dict(network(graph, images)) if images else {}
    for key in given.get("sets", ()):
        reference, samples = given[f"reference_{key}"], given[f"samples_{key}"]
        results |= {f"{name}_{key}": value for name, value in manifolds(reference, samples).items()}
        if reference.shape[1] <= 128:
            results[f"frechet_{key}"] = frechet(reference, samples)
    if "probabilities" in given:
        results["inception"] = inception_score(given["probabilities"], int(given["split"]))
    np.savez(target, **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
