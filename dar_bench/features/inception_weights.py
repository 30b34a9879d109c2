"""The weights of the 2015-12-05 Inception network: from the TensorFlow graph file, or from torch's converted one."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dar_bench.checkpoints import check_layout, read_checkpoint
from dar_bench.errors import UserError
from dar_bench.graphdef.reading import Graph, looks_like_graph, read_graph
from dar_bench.nn.inception_graph import (
    BATCH_NORM_EPSILON,
    BLOCKS,
    CONVOLUTIONS,
    INPUT_SIZE,
    SPATIAL_SCOPE,
    STEM,
    Conv,
    Pool,
    layout,
)

if TYPE_CHECKING:
    from torch import Tensor

NAME = "inception-2015-12-05"

_NORM = {
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


def is_graph(path: Path) -> bool:
    """Tell whether a file is a TensorFlow graph, by how it begins."""
    with path.open("rb") as stream:
        return looks_like_graph(stream.read(64))


def read_weights(path: Path, *, trust: bool = False) -> dict[str, Tensor]:
    """Return the network's weights out of a graph (.pb), a torch checkpoint (.pth) or our safetensors.

    Args:
        path: the file; its contents decide how it is read.
        trust: allow a pickle that runs code of its own.

    Raises:
        UserError: no such file, cut, or not this network.
    """
    if path.is_file() and is_graph(path):
        return state_of_graph(read_graph(path), path)
    loaded = read_checkpoint(path, trust=trust)
    if not isinstance(loaded, Mapping):
        raise _not_inception(path, f"It holds a {type(loaded).__name__}, not names with tensors.")
    # Counters that training keeps; they are part of no number.
    state = {key: value for key, value in loaded.items() if not str(key).endswith("num_batches_tracked")}
    check_layout(NAME, state, layout())
    return {key: state[key].float() for key in layout()}


def state_of_graph(graph: Graph, path: Path) -> dict[str, Tensor]:
    """Return the weights of a graph under our names, once its operations are those of the network.

    Raises:
        UserError: a node is missing, or does something else than in the published graph.
    """
    import torch

    def constant(name: str, shape: tuple[int, ...]) -> Tensor:
        value = graph.constant(name)
        if value is None:
            raise _not_inception(path, f"It has no constant '{name}'.")
        if value.shape != shape:
            raise _not_inception(path, f"'{name}' has shape {value.shape} instead of {shape}.")
        return torch.from_numpy(np.array(value, dtype=np.float32))

    _check_preprocessing(graph, path)
    _check_pools(graph, path)
    state: dict[str, Tensor] = {}
    for conv in CONVOLUTIONS:
        scaled = _check_convolution(graph, conv, path)
        kernel = constant(f"{conv.scope}/conv2d_params", (*conv.kernel, conv.inputs, conv.outputs))
        state[f"{conv.name}.conv.weight"] = kernel.permute(3, 2, 0, 1).contiguous()
        gamma = constant(f"{conv.scope}/batchnorm/gamma", (conv.outputs,)) if scaled else None
        state[f"{conv.name}.bn.weight"] = torch.ones(conv.outputs) if gamma is None else gamma
        for ours, theirs in _NORM.items():
            state[f"{conv.name}.bn.{ours}"] = constant(f"{conv.scope}/batchnorm/{theirs}", (conv.outputs,))
    shapes = layout()
    classes, features = shapes["fc.weight"]
    state["fc.weight"] = constant("softmax/weights", (features, classes)).T.contiguous()
    state["fc.bias"] = constant("softmax/biases", (classes,))
    return {key: state[key] for key in shapes}


def _check_preprocessing(graph: Graph, path: Path) -> None:
    """Check the road from the images to the first convolution, and the outputs that are read by name."""
    for name, op in (
        ("ExpandDims", "ExpandDims"),
        ("pool_3", "AvgPool"),
        (SPATIAL_SCOPE, "Relu"),
        ("softmax/logits/MatMul", "MatMul"),
    ):
        _operation(graph, name, (op,), path)
    resize = _operation(graph, "ResizeBilinear", ("ResizeBilinear",), path)
    for attribute in ("align_corners", "half_pixel_centers"):
        if resize.attributes.get(attribute, False):
            raise _not_inception(path, f"It resizes with {attribute}.")
    expected = {"ResizeBilinear/size": [INPUT_SIZE, INPUT_SIZE], "Sub/y": 128.0, "Mul/y": 1.0 / 128.0}
    for name, value in expected.items():
        found = graph.constant(name)
        if found is None or not np.array_equal(found, np.array(value, dtype=found.dtype)):
            raise _not_inception(path, f"'{name}' is {'missing' if found is None else found.tolist()}.")


def _check_convolution(graph: Graph, conv: Conv, path: Path) -> bool:
    """Check one convolution and its batch norm; return whether the norm uses its scale."""
    node = _operation(graph, f"{conv.scope}/Conv2D", ("Conv2D",), path)
    padding = b"SAME" if conv.same else b"VALID"
    # A 1 x 1 convolution is the same with either padding.
    if conv.kernel != (1, 1) and node.attributes.get("padding") != padding:
        raise _not_inception(path, f"'{node.name}' pads with {node.attributes.get('padding')!r}.")
    if node.attributes.get("strides") != [1, conv.stride, conv.stride, 1]:
        raise _not_inception(path, f"'{node.name}' has strides {node.attributes.get('strides')}.")
    norm = _operation(graph, f"{conv.scope}/batchnorm", ("BatchNormWithGlobalNormalization",), path)
    epsilon = norm.attributes.get("variance_epsilon")
    if epsilon is None or not np.isclose(epsilon, BATCH_NORM_EPSILON, rtol=1e-6):
        raise _not_inception(path, f"'{norm.name}' has the epsilon {epsilon}.")
    return bool(norm.attributes.get("scale_after_normalization", False))


def _check_pools(graph: Graph, path: Path) -> None:
    """Check the kind of the pools, by the convolution behind them where there is one."""
    for block in BLOCKS:
        for branch in block.branches:
            for step, behind in pairwise(branch):
                if isinstance(step, Pool) and isinstance(behind, Conv):
                    convolution = _operation(graph, f"{behind.scope}/Conv2D", ("Conv2D",), path)
                    _operation(graph, convolution.inputs[0], (_pool_op(step),), path)
    for step in STEM:
        if isinstance(step, Pool):
            _operation(graph, step.scope, (_pool_op(step),), path)


def _pool_op(step: Pool) -> str:
    return "MaxPool" if step.kind == "maximum" else "AvgPool"


def _operation(graph: Graph, name: str, ops: tuple[str, ...], path: Path) -> Any:
    node = graph.nodes.get(name)
    if node is None:
        raise _not_inception(path, f"It has no node '{name}'.")
    if node.op not in ops:
        raise _not_inception(path, f"Its node '{name}' is a {node.op} instead of a {ops[0]}.")
    return node


def _not_inception(path: Path, why: str) -> UserError:
    return UserError(
        f"'{path}' is not the 2015-12-05 Inception network.",
        why=why,
        hint="Give classify_image_graph_def.pb or pt_inception-2015-12-05-6726825d.pth.",
    )
