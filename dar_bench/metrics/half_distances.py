"""Squared distances in float16, step by step as TensorFlow's CPU kernels round them.

ADM's evaluator computes distances of features in float16, and its precision and recall depend on that by points. What
it computes for rows u of one set and v of another, every step rounded to float16:

    |u|^2, |v|^2      squares and partial sums in float16, in the order of ``half_norms``
    u'v               products and sums in float32, rounded once
    (|u|^2 - 2 u'v) + |v|^2, and 0 where that is negative

The order of the last line makes the distance of u to v another one than that of v to u.
"""

from __future__ import annotations

import torch
from torch import Tensor

_LANES = 8
_LEAF = 200 * _LANES  # values that Eigen sums in one go; longer rows are cut in two
_NORM_ROWS = 2048  # rows whose squares exist at once


def half_norms(values: Tensor) -> Tensor:
    """Return squared norms of float16 rows (n, D) as TensorFlow's CPU reduction computes them, float16 (n,).

    Rows of more than 1,600 values are summed in two halves, each by four accumulators of eight float16 lanes; the
    accumulators are added in float16 one after the other, their lanes in float32. Found by comparison with
    TensorFlow 2.21, which it equals in every row.
    """
    return torch.cat([_half_sum(part * part) for part in torch.split(values, _NORM_ROWS)])


def _half_sum(values: Tensor) -> Tensor:
    count = values.shape[1]
    if count > _LEAF:
        half = -(-count // 2)
        split = -(-half // _LANES) * _LANES
        return _half_sum(values[:, :split]) + _half_sum(values[:, split:])
    packets = count // _LANES
    lanes = values[:, : packets * _LANES].reshape(len(values), packets, _LANES)
    unrolled = packets // 4 * 4
    total = lanes.new_zeros(len(values), _LANES)
    if unrolled:
        accumulators = lanes.new_zeros(4, len(values), _LANES)
        for first in range(0, unrolled, 4):
            accumulators += lanes[:, first : first + 4].transpose(0, 1)
        total = ((accumulators[0] + accumulators[1]) + accumulators[2]) + accumulators[3]
    for packet in range(unrolled, packets):
        total = total + lanes[:, packet]
    rest = values.new_zeros(len(values))
    for index in range(packets * _LANES, count):
        rest = rest + values[:, index]
    if packets == 0:
        return rest
    wide = total.float()
    four = wide[:, :4] + wide[:, 4:]
    two = four[:, :2] + four[:, 2:]
    return rest + (two[:, 0] + two[:, 1]).half()


def half_distances(products: Tensor, one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distances of u to v and of v to u, float32 with float16's values.

    Args:
        products: u'v, float32, of any shape.
        one, other: norms of u and of v, float16, of shapes that broadcast with it.
    """
    minus = products.half().mul_(-2)  # exact, unless it overflows
    forward = (minus + one).add_(other).clamp_(min=0)
    backward = minus.add_(other).add_(one).clamp_(min=0)
    return forward.float(), backward.float()
