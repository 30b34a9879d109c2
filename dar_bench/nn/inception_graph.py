"""The plan of the 2015-12-05 Inception graph: every convolution and pool, with its name here and in TensorFlow.

Szegedy et al., "Rethinking the Inception Architecture for Computer Vision" (2015), as the graph file
``classify_image_graph_def.pb`` has it. Three things differ from the network of the same name in torchvision: there
are 1008 classes, average pools do not count their padding, and the last block pools by the maximum. Names of
tensors are those of the converted file that the FID tools of torch share (``Mixed_6d.branch1x1.conv.weight``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

INPUT_SIZE = 299
POOL_FEATURES = 2048
CLASSES = 1008
BATCH_NORM_EPSILON = 1e-3

SPATIAL_SCOPE = "mixed_6/conv"
"""The convolution whose first channels, after its ReLU, are the spatial features of sFID."""

SPATIAL_CHANNELS = 7
SPATIAL_FEATURES = 17 * 17 * SPATIAL_CHANNELS


@dataclass(frozen=True)
class Conv:
    """A convolution without bias, its batch norm and its ReLU.

    Attributes:
        name: prefix of its tensors here.
        scope: prefix of its nodes in the TensorFlow graph; the ReLU has this very name.
        inputs, outputs: channels.
        kernel: height and width.
        stride: of both directions.
        same: padded so that stride 1 keeps the size (``SAME``), or not padded (``VALID``).
    """

    name: str
    scope: str
    inputs: int
    outputs: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    same: bool = True


@dataclass(frozen=True)
class Pool:
    """A 3 x 3 pool: of stride 1 it keeps the size and does not count its padding, of stride 2 it has none."""

    scope: str
    kind: Literal["average", "maximum"]
    stride: int = 1


Step = Conv | Pool | tuple[Conv, ...]
"""A tuple of convolutions all read the same input, and their outputs are joined."""


@dataclass(frozen=True)
class Block:
    """Branches that read the same input; their outputs are joined along the channels, in this order."""

    scope: str
    branches: tuple[tuple[Step, ...], ...]

    def convolutions(self) -> Iterator[Conv]:
        """Yield all convolutions, in the order of the branches."""
        for branch in self.branches:
            for step in branch:
                if isinstance(step, Conv):
                    yield step
                elif isinstance(step, tuple):
                    yield from step


STEM: tuple[Conv | Pool, ...] = (
    Conv("Conv2d_1a_3x3", "conv", 3, 32, (3, 3), 2, same=False),
    Conv("Conv2d_2a_3x3", "conv_1", 32, 32, (3, 3), same=False),
    Conv("Conv2d_2b_3x3", "conv_2", 32, 64, (3, 3)),
    Pool("pool", "maximum", 2),
    Conv("Conv2d_3b_1x1", "conv_3", 64, 80, same=False),
    Conv("Conv2d_4a_3x3", "conv_4", 80, 192, (3, 3), same=False),
    Pool("pool_1", "maximum", 2),
)


def _tower(block: str, scope: str, inputs: int, *steps: tuple[str, int, tuple[int, int]]) -> tuple[Conv, ...]:
    """Return convolutions in a row, each given as (name, channels, kernel)."""
    tower = []
    for index, (name, outputs, kernel) in enumerate(steps):
        suffix = f"_{index}" if index else ""
        tower.append(Conv(f"{block}.{name}", f"{scope}/conv{suffix}", inputs, outputs, kernel))
        inputs = outputs
    return tuple(tower)


def _halving(tower: tuple[Conv, ...]) -> tuple[Conv, ...]:
    """Return the tower with a last convolution that halves the size."""
    last = tower[-1]
    return (*tower[:-1], Conv(last.name, last.scope, last.inputs, last.outputs, last.kernel, 2, same=False))


def _pooled(
    block: str, scope: str, inputs: int, outputs: int, kind: Literal["average", "maximum"]
) -> tuple[Step, ...]:
    tower = f"{scope}/tower_2"
    return Pool(f"{tower}/pool", kind), *_tower(block, tower, inputs, ("branch_pool", outputs, (1, 1)))


def _block_35(block: str, scope: str, inputs: int, pooled: int) -> Block:
    return Block(
        scope,
        (
            _tower(block, scope, inputs, ("branch1x1", 64, (1, 1))),
            _tower(block, f"{scope}/tower", inputs, ("branch5x5_1", 48, (1, 1)), ("branch5x5_2", 64, (5, 5))),
            _tower(
                block,
                f"{scope}/tower_1",
                inputs,
                ("branch3x3dbl_1", 64, (1, 1)),
                ("branch3x3dbl_2", 96, (3, 3)),
                ("branch3x3dbl_3", 96, (3, 3)),
            ),
            _pooled(block, scope, inputs, pooled, "average"),
        ),
    )


def _block_17(block: str, scope: str, inner: int) -> Block:
    inputs, row, column = 768, (1, 7), (7, 1)
    return Block(
        scope,
        (
            _tower(block, scope, inputs, ("branch1x1", 192, (1, 1))),
            _tower(
                block,
                f"{scope}/tower",
                inputs,
                ("branch7x7_1", inner, (1, 1)),
                ("branch7x7_2", inner, row),
                ("branch7x7_3", 192, column),
            ),
            _tower(
                block,
                f"{scope}/tower_1",
                inputs,
                ("branch7x7dbl_1", inner, (1, 1)),
                ("branch7x7dbl_2", inner, column),
                ("branch7x7dbl_3", inner, row),
                ("branch7x7dbl_4", inner, column),
                ("branch7x7dbl_5", 192, row),
            ),
            _pooled(block, scope, inputs, 192, "average"),
        ),
    )


def _block_8(block: str, scope: str, inputs: int, kind: Literal["average", "maximum"]) -> Block:
    def fork(tower: str, name: str) -> tuple[Conv, ...]:
        return (
            Conv(f"{block}.{name}a", f"{tower}/mixed/conv", 384, 384, (1, 3)),
            Conv(f"{block}.{name}b", f"{tower}/mixed/conv_1", 384, 384, (3, 1)),
        )

    first, second = f"{scope}/tower", f"{scope}/tower_1"
    return Block(
        scope,
        (
            _tower(block, scope, inputs, ("branch1x1", 320, (1, 1))),
            (*_tower(block, first, inputs, ("branch3x3_1", 384, (1, 1))), fork(first, "branch3x3_2")),
            (
                *_tower(
                    block, second, inputs, ("branch3x3dbl_1", 448, (1, 1)), ("branch3x3dbl_2", 384, (3, 3))
                ),
                fork(second, "branch3x3dbl_3"),
            ),
            _pooled(block, scope, inputs, 192, kind),
        ),
    )


BLOCKS: tuple[Block, ...] = (
    _block_35("Mixed_5b", "mixed", 192, 32),
    _block_35("Mixed_5c", "mixed_1", 256, 64),
    _block_35("Mixed_5d", "mixed_2", 288, 64),
    Block(
        "mixed_3",
        (
            _halving(_tower("Mixed_6a", "mixed_3", 288, ("branch3x3", 384, (3, 3)))),
            _halving(
                _tower(
                    "Mixed_6a",
                    "mixed_3/tower",
                    288,
                    ("branch3x3dbl_1", 64, (1, 1)),
                    ("branch3x3dbl_2", 96, (3, 3)),
                    ("branch3x3dbl_3", 96, (3, 3)),
                )
            ),
            (Pool("mixed_3/pool", "maximum", 2),),
        ),
    ),
    _block_17("Mixed_6b", "mixed_4", 128),
    _block_17("Mixed_6c", "mixed_5", 160),
    _block_17("Mixed_6d", "mixed_6", 160),
    _block_17("Mixed_6e", "mixed_7", 192),
    Block(
        "mixed_8",
        (
            _halving(
                _tower(
                    "Mixed_7a",
                    "mixed_8/tower",
                    768,
                    ("branch3x3_1", 192, (1, 1)),
                    ("branch3x3_2", 320, (3, 3)),
                )
            ),
            _halving(
                _tower(
                    "Mixed_7a",
                    "mixed_8/tower_1",
                    768,
                    ("branch7x7x3_1", 192, (1, 1)),
                    ("branch7x7x3_2", 192, (1, 7)),
                    ("branch7x7x3_3", 192, (7, 1)),
                    ("branch7x7x3_4", 192, (3, 3)),
                )
            ),
            (Pool("mixed_8/pool", "maximum", 2),),
        ),
    ),
    _block_8("Mixed_7b", "mixed_9", 1280, "average"),
    _block_8("Mixed_7c", "mixed_10", 2048, "maximum"),
)

CONVOLUTIONS: tuple[Conv, ...] = (
    *(step for step in STEM if isinstance(step, Conv)),
    *(convolution for block in BLOCKS for convolution in block.convolutions()),
)


def layout() -> dict[str, tuple[int, ...]]:
    """Return name and shape of every tensor of the network's weights."""
    shapes: dict[str, tuple[int, ...]] = {}
    for conv in CONVOLUTIONS:
        shapes[f"{conv.name}.conv.weight"] = (conv.outputs, conv.inputs, *conv.kernel)
        for tensor in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{conv.name}.bn.{tensor}"] = (conv.outputs,)
    return shapes | {"fc.weight": (CLASSES, POOL_FEATURES), "fc.bias": (CLASSES,)}
