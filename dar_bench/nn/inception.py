"""The 2015-12-05 Inception network in torch: resized images in, pooled and spatial features out.

Made for features only: batch norms are folded into the convolutions, tensors lie channels-last, and the four heads
of a block that read the same input are one convolution. Each of these changes a result by its rounding alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dar_bench.nn.inception_graph import (
    BATCH_NORM_EPSILON,
    BLOCKS,
    INPUT_SIZE,
    SPATIAL_CHANNELS,
    SPATIAL_SCOPE,
    STEM,
    Block,
    Conv,
    Pool,
    Step,
)


def resize_tf1(images: Tensor, size: int = INPUT_SIZE) -> Tensor:
    """Resize as TensorFlow 1 does (``align_corners`` and half-pixel centres off, no antialias), bit for bit.

    Output pixel i reads at i * (in / out), between that pixel and the next one, which at the border is the same;
    first along rows, then along columns, in float32.

    Args:
        images: float32 (n, 3, H, W), in any memory order.
        size: side of the result.

    Returns:
        float32 (n, 3, size, size), channels-last.
    """
    images = images.contiguous(memory_format=torch.channels_last)
    height, width = images.shape[-2:]
    if (height, width) == (size, size):
        return images
    top, bottom, down = _taps(height, size, images.device)
    left, right, across = _taps(width, size, images.device)
    low, high = images.index_select(3, left), images.index_select(3, right)
    columns = high.sub_(low).mul_(across).add_(low)  # low + (high - low) * across, each operation rounded
    above, below = columns.index_select(2, top), columns.index_select(2, bottom)
    return below.sub_(above).mul_(down[:, None]).add_(above)


def _taps(size: int, target: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return for every output position its two inputs and the share of the second, float32."""
    # The scale is rounded to float32 before it is multiplied, as TensorFlow's kernel does.
    position = torch.arange(target, dtype=torch.float32) * torch.tensor(size / target, dtype=torch.float32)
    first = position.floor().long()
    second = (first + 1).clamp(max=size - 1)
    return first.to(device), second.to(device), (position - first.float()).to(device)


class Inception(nn.Module):
    """The network with given weights, frozen.

    Args:
        state: the weights, as ``inception_graph.layout`` names them.
    """

    def __init__(self, state: Mapping[str, Tensor]):
        super().__init__()
        convolutions: dict[str, nn.Conv2d] = {}
        for step in STEM:
            if isinstance(step, Conv):
                convolutions[_key(step.scope)] = _folded(state, [step])
        for block in BLOCKS:
            heads = _heads(block)
            if heads:
                convolutions[_key(f"{block.scope}/heads")] = _folded(state, heads)
            for conv in block.convolutions():
                if conv not in heads:
                    convolutions[_key(conv.scope)] = _folded(state, [conv])
        self.convolutions = nn.ModuleDict(convolutions)
        self.classes = nn.Parameter(state["fc.weight"].float().clone(), requires_grad=False)
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return pooled features (n, 2048) and spatial features (n, 2023).

        Args:
            images: float32 (n, 3, 299, 299), values 0 to 255; normalised, then cast to the precision of the weights.
        """
        hidden = ((images - 128.0) * 0.0078125).to(self.classes.dtype)
        for step in STEM:
            hidden = self._step(step, hidden)
        spatial = hidden
        for block in BLOCKS:
            outputs = self._branches(block, hidden)
            if f"{block.scope}/conv" == SPATIAL_SCOPE:
                # As TensorFlow lays it out: rows, columns, channels.
                spatial = outputs[0][:, :SPATIAL_CHANNELS].permute(0, 2, 3, 1).flatten(1)
            hidden = torch.cat(outputs, dim=1)
        return hidden.mean(dim=(2, 3)), spatial

    def logits(self, pool: Tensor) -> Tensor:
        """Return the class scores (n, 1008) of pooled features; the bias is left out, as the score has it."""
        return F.linear(pool, self.classes)

    def _branches(self, block: Block, hidden: Tensor) -> list[Tensor]:
        heads = _heads(block)
        # By scope, not by the convolution itself: the compiler follows texts, not objects of ours.
        parts: dict[str, Tensor] = {}
        if heads:
            joined = self._convolve(f"{block.scope}/heads", hidden)
            split = torch.split(joined, [head.outputs for head in heads], dim=1)
            parts = {head.scope: part for head, part in zip(heads, split, strict=True)}
        outputs = []
        for branch in block.branches:
            head = _head(branch)
            if head is None or head.scope not in parts:
                outputs.append(self._tower(branch, hidden))
                continue
            value, done = parts[head.scope], 1
            if isinstance(branch[0], Pool):
                # The mean of a linear map is the map of the mean: pooling after it pools fewer channels.
                value, done = self._step(branch[0], value), 2
            outputs.append(self._tower(branch[done:], F.relu(value)))
        return outputs

    def _tower(self, steps: tuple[Step, ...], hidden: Tensor) -> Tensor:
        for step in steps:
            hidden = self._step(step, hidden)
        return hidden

    def _step(self, step: Step, hidden: Tensor) -> Tensor:
        if isinstance(step, tuple):
            return torch.cat([self._step(conv, hidden) for conv in step], dim=1)
        if isinstance(step, Conv):
            return F.relu_(self._convolve(step.scope, hidden))
        padding = 1 if step.stride == 1 else 0
        if step.kind == "maximum":
            return F.max_pool2d(hidden, 3, step.stride, padding)
        return F.avg_pool2d(hidden, 3, step.stride, padding, count_include_pad=False)

    def _convolve(self, scope: str, hidden: Tensor) -> Tensor:
        return cast(Tensor, self.convolutions[_key(scope)](hidden))


def _head(branch: tuple[Step, ...]) -> Conv | None:
    """Return the 1 x 1 convolution that a branch begins with, directly or behind an average pool."""
    first = branch[1] if isinstance(branch[0], Pool) and len(branch) > 1 else branch[0]
    if isinstance(branch[0], Pool) and branch[0].kind == "maximum":
        return None
    return first if isinstance(first, Conv) and first.kernel == (1, 1) else None


def _heads(block: Block) -> list[Conv]:
    """Return the convolutions of a block that can be one, because they read the same input."""
    heads = [head for branch in block.branches if (head := _head(branch)) is not None]
    return heads if len(heads) > 1 else []


def _key(scope: str) -> str:
    return scope.replace("/", "-")  # module names hold no dots


def _folded(state: Mapping[str, Tensor], convolutions: list[Conv]) -> nn.Conv2d:
    """Return convolutions of equal input and kernel as one, with their batch norms folded in.

    The fold is computed in float64: ``w' = w g / sqrt(v + eps)`` and ``b' = beta - m g / sqrt(v + eps)``.
    """
    weights, biases = [], []
    for conv in convolutions:
        norm = {
            key: state[f"{conv.name}.bn.{key}"].double()
            for key in ("weight", "bias", "running_mean", "running_var")
        }
        scale = norm["weight"] / (norm["running_var"] + BATCH_NORM_EPSILON).sqrt()
        weights.append(state[f"{conv.name}.conv.weight"].double() * scale[:, None, None, None])
        biases.append(norm["bias"] - norm["running_mean"] * scale)
    first = convolutions[0]
    padding = (first.kernel[0] // 2, first.kernel[1] // 2) if first.same else (0, 0)
    folded = nn.Conv2d(
        first.inputs,
        sum(conv.outputs for conv in convolutions),
        first.kernel,
        stride=first.stride,
        padding=padding,
        device="meta",
    )
    folded.weight = nn.Parameter(torch.cat(weights).float(), requires_grad=False)
    folded.bias = nn.Parameter(torch.cat(biases).float(), requires_grad=False)
    return folded
