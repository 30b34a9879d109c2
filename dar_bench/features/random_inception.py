"""An Inception network with seeded random weights, in the published file's forms: for tests, benchmarks and trials.

It has the topology and the operation names of ``classify_image_graph_def.pb``, so that everything that reads the
published file reads this one. Its scores are numbers of no network but itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from dar_bench.files import atomic_path
from dar_bench.graphdef.writing import FLOAT, INT32, STRING, DType, GraphWriter
from dar_bench.nn.inception_graph import (
    BATCH_NORM_EPSILON,
    BLOCKS,
    CLASSES,
    CONVOLUTIONS,
    INPUT_SIZE,
    POOL_FEATURES,
    STEM,
    Block,
    Conv,
    Pool,
    Step,
)

PRODUCER = 8
"""The last version of the format in which ``BatchNormWithGlobalNormalization`` may be used."""


def random_state(seed: int = 0) -> dict[str, Tensor]:
    """Return random weights of the network, as ``inception_graph.layout`` names them.

    The statistics of the batch norms are those of a few random pictures, so that activations neither fade nor grow
    and features spread over images; without them the last layers would see almost constants.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    state: dict[str, Tensor] = {}
    for conv in CONVOLUTIONS:
        fan_in = conv.inputs * conv.kernel[0] * conv.kernel[1]
        state[f"{conv.name}.conv.weight"] = normal(conv.outputs, conv.inputs, *conv.kernel) / fan_in**0.5
        state[f"{conv.name}.bn.weight"] = 1.0 + 0.1 * normal(conv.outputs)
        state[f"{conv.name}.bn.bias"] = 0.2 * normal(conv.outputs)
    state["fc.weight"] = normal(CLASSES, POOL_FEATURES) * 0.1
    state["fc.bias"] = 0.1 * normal(CLASSES)
    pictures = [
        F.interpolate(torch.rand(1, 3, side, side, generator=generator) * 255, size=size, mode="bilinear")
        for side, size in ((9, (INPUT_SIZE, INPUT_SIZE)), (64, (INPUT_SIZE, INPUT_SIZE)))
    ]
    with torch.inference_mode():
        average = _Calibration(state).run(torch.cat(pictures).contiguous(memory_format=torch.channels_last))
        # Without what all images share, the classes tell images apart.
        state["fc.weight"] -= torch.outer(state["fc.weight"] @ average, average) / average.dot(average)
    return {name: tensor.clone() for name, tensor in state.items()}


class _Calibration:
    """Runs the network layer by layer and sets the statistics of every batch norm to those it sees."""

    def __init__(self, state: dict[str, Tensor]):
        self._state = state

    def run(self, pictures: Tensor) -> Tensor:
        """Return the pooled features, averaged over the pictures."""
        hidden = (pictures - 128.0) / 128.0
        for layer in STEM:
            hidden = self._step(layer, hidden)
        for block in BLOCKS:
            outputs = []
            for branch in block.branches:
                value = hidden
                for step in branch:
                    value = self._step(step, value)
                outputs.append(value)
            hidden = torch.cat(outputs, dim=1)
        return hidden.mean(dim=(0, 2, 3))

    def _step(self, step: Step, hidden: Tensor) -> Tensor:
        if isinstance(step, tuple):
            return torch.cat([self._step(conv, hidden) for conv in step], dim=1)
        if isinstance(step, Pool):
            padding = 1 if step.stride == 1 else 0
            if step.kind == "maximum":
                return F.max_pool2d(hidden, 3, step.stride, padding)
            return F.avg_pool2d(hidden, 3, step.stride, padding, count_include_pad=False)
        padding_of = [side // 2 if step.same else 0 for side in step.kernel]
        weight = self._state[f"{step.name}.conv.weight"]
        value = F.conv2d(hidden, weight, stride=step.stride, padding=padding_of)
        prefix = f"{step.name}.bn"
        variance, mean = torch.var_mean(value, dim=(0, 2, 3))
        # Other pictures excite what these leave quiet; a floor keeps such channels from dominating.
        variance = 0.5 * (variance + variance.mean())
        self._state[f"{prefix}.running_mean"], self._state[f"{prefix}.running_var"] = mean, variance
        return F.relu_(
            F.batch_norm(
                value,
                mean,
                variance,
                self._state[f"{prefix}.weight"],
                self._state[f"{prefix}.bias"],
                eps=BATCH_NORM_EPSILON,
            )
        )


def write_pth(state: Mapping[str, Tensor], path: Path) -> None:
    """Write the weights as the torch file of the FID tools is: a pickle of names and tensors."""
    with atomic_path(path) as temporary:
        torch.save(dict(state), temporary)


def write_pb(state: Mapping[str, Tensor], path: Path, *, scale_after_normalization: bool = True) -> None:
    """Write the weights as a frozen TensorFlow graph of about 95 MB.

    Args:
        state: the weights.
        path: where the file goes.
        scale_after_normalization: whether the batch norms use their scale; written into every one of them.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        _GraphOfState(GraphWriter(stream, producer=PRODUCER), state, scale_after_normalization).write()


class _GraphOfState:
    def __init__(self, writer: GraphWriter, state: Mapping[str, Tensor], scaled: bool):
        self._graph = writer
        self._state = state
        self._scaled = scaled

    def write(self) -> None:
        hidden = self._input()
        for step in STEM:
            hidden = self._step(step, hidden)
        for block in BLOCKS:
            hidden = self._block(block, hidden)
        self._output(hidden)
        self._graph.finish()

    def _input(self) -> str:
        graph, floats = self._graph, DType(FLOAT)
        graph.node("DecodeJpeg/contents", "Placeholder", dtype=DType(STRING))
        graph.node("DecodeJpeg", "DecodeJpeg", ["DecodeJpeg/contents"], channels=3)
        graph.node("Cast", "Cast", ["DecodeJpeg"], SrcT=DType(4), DstT=floats)
        graph.constant("ExpandDims/dim", 0, "<i4")
        graph.node("ExpandDims", "ExpandDims", ["Cast", "ExpandDims/dim"], T=floats)
        graph.constant("ResizeBilinear/size", [INPUT_SIZE, INPUT_SIZE], "<i4")
        graph.node("ResizeBilinear", "ResizeBilinear", ["ExpandDims", "ResizeBilinear/size"], T=floats)
        graph.constant("Sub/y", 128.0)
        graph.node("Sub", "Sub", ["ResizeBilinear", "Sub/y"], T=floats)
        graph.constant("Mul/y", 1.0 / 128.0)
        return graph.node("Mul", "Mul", ["Sub", "Mul/y"], T=floats)

    def _block(self, block: Block, hidden: str) -> str:
        outputs: list[str] = []
        for branch in block.branches:
            value = hidden
            for step in branch:
                if isinstance(step, tuple):
                    outputs += [self._step(conv, value) for conv in step]
                    break
                value = self._step(step, value)
            else:
                outputs.append(value)
        axis = self._graph.constant(f"{block.scope}/join/concat_dim", 3, "<i4")
        return self._graph.node(
            f"{block.scope}/join", "Concat", [axis, *outputs], N=len(outputs), T=DType(FLOAT)
        )

    def _step(self, step: Conv | Pool | tuple[Conv, ...], hidden: str) -> str:
        if isinstance(step, Pool):
            return self._pool(step, hidden)
        assert isinstance(step, Conv)
        graph, floats, scope, prefix = self._graph, DType(FLOAT), step.scope, f"{step.name}.bn"
        weight = self._state[f"{step.name}.conv.weight"].permute(2, 3, 1, 0)
        kernel = graph.constant(f"{scope}/conv2d_params", weight.numpy())
        convolved = graph.node(
            f"{scope}/Conv2D",
            "Conv2D",
            [hidden, kernel],
            T=floats,
            strides=[1, step.stride, step.stride, 1],
            padding=b"SAME" if step.same else b"VALID",
        )
        parameters = [
            graph.constant(f"{scope}/batchnorm/{theirs}", self._state[f"{prefix}.{ours}"].numpy())
            for theirs, ours in (
                ("moving_mean", "running_mean"),
                ("moving_variance", "running_var"),
                ("beta", "bias"),
                ("gamma", "weight"),
            )
        ]
        normed = graph.node(
            f"{scope}/batchnorm",
            "BatchNormWithGlobalNormalization",
            [convolved, *parameters],
            T=floats,
            variance_epsilon=BATCH_NORM_EPSILON,
            scale_after_normalization=self._scaled,
        )
        message = f"activation of {scope} is not finite".encode()
        check = graph.node(f"{scope}/CheckNumerics", "CheckNumerics", [normed], T=floats, message=message)
        kept = graph.node(f"{scope}/control_dependency", "Identity", [normed, f"^{check}"], T=floats)
        return graph.node(scope, "Relu", [kept], T=floats)

    def _pool(self, step: Pool, hidden: str) -> str:
        return self._graph.node(
            step.scope,
            "MaxPool" if step.kind == "maximum" else "AvgPool",
            [hidden],
            T=DType(FLOAT),
            ksize=[1, 3, 3, 1],
            strides=[1, step.stride, step.stride, 1],
            padding=b"SAME" if step.stride == 1 else b"VALID",
        )

    def _output(self, hidden: str) -> None:
        graph, floats = self._graph, DType(FLOAT)
        pooled = graph.node(
            "pool_3",
            "AvgPool",
            [hidden],
            T=floats,
            ksize=[1, 8, 8, 1],
            strides=[1, 1, 1, 1],
            padding=b"VALID",
        )
        shape = graph.constant("pool_3/_reshape/shape", [-1, POOL_FEATURES], "<i4")
        flat = graph.node("pool_3/_reshape", "Reshape", [pooled, shape], T=floats, Tshape=DType(INT32))
        weights = graph.constant("softmax/weights", self._state["fc.weight"].T.numpy())
        biases = graph.constant("softmax/biases", self._state["fc.bias"].numpy())
        product = graph.node("softmax/logits/MatMul", "MatMul", [flat, weights], T=floats)
        logits = graph.node("softmax/logits", "BiasAdd", [product, biases], T=floats)
        graph.node("softmax", "Softmax", [logits], T=floats)
