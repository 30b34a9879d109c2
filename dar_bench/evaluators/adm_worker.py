"""The child of ``adm_process``: reads images, runs the Inception graph in TensorFlow, writes features.

python -m dar_bench.evaluators.adm_worker classify_image_graph_def.pb
"""

from __future__ import annotations

import os
import sys
from typing import Any, BinaryIO

import numpy as np

from dar_bench.evaluators.adm_process import FAILED, FEATURES, HEADER, LENGTH, READY
from dar_bench.nn.inception_graph import SPATIAL_CHANNELS, SPATIAL_SCOPE


def main(graph: str) -> None:
    """Serve until the input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever TensorFlow prints must not get among the answers
    requests = sys.stdin.buffer
    run = _network(graph)
    answers.write(READY)
    answers.flush()
    while header := requests.read(HEADER.size):
        count, height, width = HEADER.unpack(header)
        images = np.frombuffer(_exactly(requests, count * height * width * 3), np.uint8)
        _answer(answers, run, images.reshape(count, height, width, 3))


def _network(path: str) -> Any:
    """Return a function from float32 images (n, H, W, 3) to pooled, spatial and class arrays."""
    import tensorflow.compat.v1 as tf

    with open(path, "rb") as stream:  # noqa: PTH123 - as light an import as can be
        definition = tf.GraphDef.FromString(stream.read())
    network = tf.Graph()
    with network.as_default():
        images = tf.placeholder(tf.float32, shape=[None, None, None, 3])
        pool, spatial, product = tf.import_graph_def(
            definition,
            input_map={"ExpandDims:0": images},
            return_elements=["pool_3:0", f"{SPATIAL_SCOPE}:0", "softmax/logits/MatMul"],
            name="inception",
        )
        # The graph declares one image; ADM feeds it many and flattens what comes out.
        pool = tf.reshape(pool, [tf.shape(pool)[0], -1])
        first = spatial[..., :SPATIAL_CHANNELS]
        classes = tf.nn.softmax(tf.matmul(pool, product.inputs[1]))
        outputs = [pool, tf.reshape(first, [tf.shape(first)[0], -1]), classes]
    session = tf.Session(graph=network, config=tf.ConfigProto(allow_soft_placement=True))
    return lambda batch: session.run(outputs, {images: batch})


def _answer(answers: BinaryIO, run: Any, images: np.ndarray[Any, Any]) -> None:
    try:
        arrays = run(images.astype(np.float32))
    except Exception as error:
        text = (str(error).strip().splitlines() or [type(error).__name__])[0].encode()
        answers.write(FAILED + LENGTH.pack(len(text)) + text)
    else:
        answers.write(FEATURES)
        for array in arrays:
            answers.write(np.ascontiguousarray(array, dtype="<f4").tobytes())
    answers.flush()


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        sys.exit(0)  # the parent is gone
    return data


if __name__ == "__main__":
    main(sys.argv[1])
