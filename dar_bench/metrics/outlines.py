"""Rough copies of points, whose products bound the distances of the points from below.

Most distances decide nothing: a neighbour search and a count of balls need those that may be within some limit, and
a cheap product shows of nearly all pairs that they are not. The bound is rigorous, so that leaving pairs out changes
no result:

Let w = (u - c) s be a point moved by a common centre and scaled by a power of two, and o its stored outline, rounded to
bfloat16 or not at all. With r the largest |o - w| / |w| of all points (measured), the product of two outlines is off
that of w1 and w2 by at most (2 r + r^2) |w1| |w2|; its float32 sum, in any order, by another g |o1| |o2| with
g = D e / (1 - D e), e = 2^-23 (twice the unit roundoff, so that a processor may also cut digits off); and its
rounding to bfloat16 by 2^-8 of it. Together, for the computed product p and a constant k,

    |p - w1'w2| <= k |w1| |w2| <= k (|w1|^2 + |w2|^2) / 2
    s^2 |u - v|^2 = |w1|^2 + |w2|^2 - 2 w1'w2 >= (1 - k) |w1|^2 + (1 - k) |w2|^2 - 2 p

so that a number per point and the product give the bound. The further parts of such a number, each proportional to the
size of what is rounded, are for what tells a computed distance from |u - v|^2:

Sums of float32 products, in whatever order, err by at most g times the sum of the absolute products. In float32 a
distance |u|^2 - 2 u'v + |v|^2 has such errors in three sums, together at most 2 g (|u|^2 + |v|^2), and those of its
last roundings, 2^-21 (|u|^2 + |v|^2).

In ADM's float16 (see ``half_distances``) with norms n1 and n2, without rounding the distance were
x = n1 + n2 - 2 u'v = |u - v|^2 + (n1 - |u|^2) + (n2 - |v|^2). A rounding to float16 errs by at most 2^-11 of its result
plus 2^-25. The product errs as a sum by g and by rounding by 2^-11 of |u| |v|, doubled at most
(g + 2^-11) (|u|^2 + |v|^2); the last rounding by 2^-11 d, and the one before by 2^-11 of a number that differs from the
last by a norm, so by 2^-11 (d + n1 + n2). Hence

    d (1 + 2^-10) >= x - (g + 2^-11) (|u|^2 + |v|^2) - 2^-11 (n1 + n2) - 2^-22

with the factors a percent larger in the code for products of errors. Where the sum is negative d is 0, which is larger
than the right side all the same. Overflow is not covered: blocks with distances that are not finite are not computed in
float16.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_ROWS = 256  # rows in float64 at once
_ROUNDOFF = 2.0**-23
_HALF = 1.01 * 2.0**-11
_FLOAT32 = 2.0**-20  # for the bound's own arithmetic: three roundings of 2^-24, of numbers twice as large
_UNDERFLOW = 2.0**-100  # more than all that underflow can take away, as the largest |w| is near 1
_SUBNORMAL = 2.0**-148  # distances as small as that may have been rounded to 0
_SMALLEST_SPREAD = 2.0**-40  # of |u - c| beside |u|: further magnification would only magnify rounding


@dataclass(frozen=True)
class Outline:
    """The rough copy of a set.

    Attributes:
        values: (n, D), bfloat16 or float32.
        shares: (n,), what each point adds to the bounds of its distances, float32.
        scale: s^2.
        slack: by how much a limit is to be widened, relative.
    """

    values: Tensor
    shares: Tensor
    scale: float
    slack: float

    def limits(self, distances: Tensor) -> Tensor:
        """Return numbers that the bounds of all distances up to the given ones do not exceed, float32.

        Nothing is below 0, so a negative distance stands for none.
        """
        wide = (distances.double() * (1 + self.slack) + _SUBNORMAL) * self.scale
        wide *= 1 + 2.0**-22  # for the rounding below
        return torch.where(distances < 0, -torch.inf, wide.float())


def lower_bounds(first: Outline, second: Outline, rows: slice, columns: slice) -> Tensor:
    """Return bounds of the distances of some rows of one set to some of another, to compare with ``limits``."""
    products = first.values[rows] @ second.values[columns].T
    bounds = products.float().mul_(-2).add_(second.shares[columns])
    return bounds.add_(first.shares[rows, None])


def outlines(
    sets: Sequence[Tensor], norms: Sequence[Tensor], kind: torch.dtype | None = None
) -> list[Outline]:
    """Return outlines of sets whose points' distances are wanted, within each and between them.

    Args:
        sets: (n, D), float32, or float16 for ADM's arithmetic.
        norms: squared norms as ADM's arithmetic has them; points whose norm is not finite get outlines without meaning.
        kind: the outlines' type, the faster one by default.
    """
    kind = kind or faster_kind(sets[0].shape[1])
    half = sets[0].dtype == torch.float16
    good = [torch.isfinite(one) for one in norms]
    # ADM's points are not centred, and products of what they have in common would drown the differences.
    centre = _mean(sets[0], good[0]) if half else torch.zeros(sets[0].shape[1], dtype=torch.float64)
    spread = max(_largest_norm(points, one, centre) for points, one in zip(sets, good, strict=True))
    size = max(_largest_norm(points, one, 0 * centre) for points, one in zip(sets, good, strict=True))
    scale = _power_of_two(max(spread, _SMALLEST_SPREAD * size))
    drawn = [_draw(points, one, centre, scale, kind) for points, one in zip(sets, good, strict=True)]
    rough = max(error for _, _, _, error in drawn)
    length = sets[0].shape[1] * _ROUNDOFF
    summing = length / (1 - length)
    storing = 2.0**-8 if kind == torch.bfloat16 else 0.0
    share = 2 * rough + rough**2 + (summing + storing + summing * storing) * (1 + rough) ** 2
    found = []
    for (values, moved, plain, _), norm in zip(drawn, norms, strict=True):
        computed = norm.double() if half else plain
        sizes = plain + computed
        shares = moved * (1 - share) - _FLOAT32 * (moved + sizes * scale**2) - _UNDERFLOW
        if half:
            shares += (computed - plain - _HALF * sizes - 1.01 * summing * plain - 2.0**-22) * scale**2
        else:
            shares -= (2 * summing + 2.0**-21) * 1.01 * plain * scale**2
        slack = 2 * _HALF if half else 0.0
        found.append(Outline(values, shares.float(), scale**2, slack))
    return found


def _mean(points: Tensor, good: Tensor) -> Tensor:
    total = torch.zeros(points.shape[1], dtype=torch.float64)
    for part, kept in zip(torch.split(points, _ROWS), torch.split(good, _ROWS), strict=True):
        total += part[kept].double().sum(dim=0)
    return total / max(1, int(good.sum()))


def _largest_norm(points: Tensor, good: Tensor, centre: Tensor) -> float:
    largest = 0.0
    for part, kept in zip(torch.split(points, _ROWS), torch.split(good, _ROWS), strict=True):
        norms = torch.linalg.vector_norm(part[kept].double() - centre, dim=1)
        largest = max(largest, *norms.tolist(), 0.0)
    return largest


def _power_of_two(largest: float) -> float:
    """Return what brings a number into [0.5, 1)."""
    return math.ldexp(1.0, -math.frexp(largest)[1]) if largest else 1.0


def _draw(
    points: Tensor, good: Tensor, centre: Tensor, scale: float, kind: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, float]:
    """Return outlines, |w|^2 and |u|^2, float64, and the largest relative error of an outline."""
    values = torch.zeros(points.shape, dtype=kind)
    moved = torch.zeros(len(points), dtype=torch.float64)
    plain = torch.zeros(len(points), dtype=torch.float64)
    worst = 0.0
    for start in range(0, len(points), _ROWS):
        rows = slice(start, start + _ROWS)
        wide = points[rows].double()
        wide[~good[rows]] = 0
        plain[rows] = wide.square().sum(dim=1)
        wide.sub_(centre).mul_(scale)
        wide[~good[rows]] = 0
        values[rows] = wide.to(kind)
        moved[rows] = wide.square().sum(dim=1)
        errors = (values[rows].double() - wide).square_().sum(dim=1)
        ratios = errors / moved[rows].clamp_min(2.0**-200)
        worst = max(worst, float(ratios.max()))
    # Float64's own errors are far below what is added.
    return values, moved, plain, math.sqrt(worst) + 2.0**-30


def faster_kind(length: int) -> torch.dtype:
    """Return the type whose products are faster here; which one it is changes no result.

    Bfloat16 is several times faster on processors with instructions for it, and slower on others.
    """
    taken = {}
    for kind in (torch.float32, torch.bfloat16):
        probe = torch.ones(256, length, dtype=kind)
        probe @ probe.T
        started = time.perf_counter()
        for _ in range(3):
            probe @ probe.T
        taken[kind] = time.perf_counter() - started
    return min(taken, key=lambda kind: taken[kind])
