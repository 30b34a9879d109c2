"""Solvers of the flow ODE ``dx/dt = v(x, t)``, one step at a time so that decoding can stream.

A solver is a small object with the history of one decoding. ``advance`` takes a step; ``jump`` then gives, at no
further cost, the estimate of x(1) from where that step began: the preview of the paper's section 5.1.
All state tensors are float32 (B, 3, H, W).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from dar_bench.errors import unknown_name

Velocity = Callable[[Tensor, float], Tensor]
"""``(x, t) -> v``; everything else (conditions, network) is the caller's business."""


class OdeSolver(Protocol):
    """One decoding's solver."""

    evaluations: int
    """Network calls per step."""

    def advance(self, velocity: Velocity, x: Tensor, t: float, next_t: float) -> Tensor:
        """Return the state at ``next_t``."""
        ...

    def jump(self, *, plain: bool) -> Tensor:
        """Return the estimate of x(1) from the start of the last step.

        Args:
            plain: follow the velocity alone, ``x + (1 - t) v`` (the paper's formula); otherwise follow the
                slope that the solver used for its step (what the published code shows for Adams-Bashforth).
        """
        ...


class _SlopeSolver:
    """A solver whose step is ``x + h * slope``; subclasses say what the slope is."""

    evaluations = 1

    def __init__(self) -> None:
        self._x: Tensor | None = None
        self._v: Tensor | None = None
        self._slope: Tensor | None = None
        self._t = 0.0

    def advance(self, velocity: Velocity, x: Tensor, t: float, next_t: float) -> Tensor:
        """See ``OdeSolver.advance``."""
        v = velocity(x, t)
        self._slope = self.slope(velocity, x, v, t, next_t - t)
        self._x, self._v, self._t = x, v, t
        return x + (next_t - t) * self._slope

    def jump(self, *, plain: bool) -> Tensor:
        """See ``OdeSolver.jump``."""
        direction = self._v if plain else self.jump_slope()
        if self._x is None or direction is None:
            raise RuntimeError("jump() needs a step first")
        return self._x + (1.0 - self._t) * direction

    def slope(self, velocity: Velocity, x: Tensor, v: Tensor, t: float, h: float) -> Tensor:
        """Return the slope of a step of length ``h`` from (x, t), whose velocity is ``v``."""
        raise NotImplementedError

    def jump_slope(self) -> Tensor | None:
        """Return the slope that leads from the start of the last step to t = 1."""
        return self._slope


class Euler(_SlopeSolver):
    """First order, one evaluation per step."""

    def slope(self, velocity: Velocity, x: Tensor, v: Tensor, t: float, h: float) -> Tensor:
        """Return the slope of a step of length ``h`` from (x, t), whose velocity is ``v``."""
        return v


class Adams2(_SlopeSolver):
    """Two-step Adams-Bashforth with the coefficients 3/2 and -1/2 of equal steps, whatever the steps are.

    This is what the published numbers were made with (paper, Table 2), although the time shift makes the steps
    unequal: the scheme is of second order only where neighbouring steps are nearly equal, that is with many steps.
    ``VariableAdams2`` follows their lengths. The first step is Euler's.
    """

    def slope(self, velocity: Velocity, x: Tensor, v: Tensor, t: float, h: float) -> Tensor:
        """Return the slope of a step of length ``h`` from (x, t), whose velocity is ``v``."""
        return v if self._v is None else 1.5 * v - 0.5 * self._v


class VariableAdams2(_SlopeSolver):
    """Two-step Adams-Bashforth for unequal steps: second order; the first step is Euler's."""

    def __init__(self) -> None:
        super().__init__()
        self._previous: Tensor | None = None
        self._previous_h = 0.0
        self._h = 0.0

    def slope(self, velocity: Velocity, x: Tensor, v: Tensor, t: float, h: float) -> Tensor:
        """Return the slope of a step of length ``h`` from (x, t), whose velocity is ``v``."""
        self._previous, self._previous_h, self._h = self._v, self._h, h
        return self._extrapolate(v, h)

    def jump_slope(self) -> Tensor | None:
        """Return the slope that leads from the start of the last step to t = 1."""
        return None if self._v is None else self._extrapolate(self._v, 1.0 - self._t)

    def _extrapolate(self, v: Tensor, h: float) -> Tensor:
        if self._previous is None:
            return v
        ratio = h / (2.0 * self._previous_h)
        return (1.0 + ratio) * v - ratio * self._previous


class Heun(_SlopeSolver):
    """Second order, two evaluations per step: the mean of the slopes at both ends."""

    evaluations = 2

    def slope(self, velocity: Velocity, x: Tensor, v: Tensor, t: float, h: float) -> Tensor:
        """Return the slope of a step of length ``h`` from (x, t), whose velocity is ``v``."""
        return 0.5 * (v + velocity(x + h * v, t + h))


class Midpoint(_SlopeSolver):
    """Second order, two evaluations per step: the slope half-way."""

    evaluations = 2

    def slope(self, velocity: Velocity, x: Tensor, v: Tensor, t: float, h: float) -> Tensor:
        """Return the slope of a step of length ``h`` from (x, t), whose velocity is ``v``."""
        return velocity(x + 0.5 * h * v, t + 0.5 * h)


SOLVERS: dict[str, Callable[[], OdeSolver]] = {
    "euler": Euler,
    "adams2": Adams2,
    "ab2": VariableAdams2,
    "heun": Heun,
    "midpoint": Midpoint,
}


def make_solver(name: str) -> OdeSolver:
    """Return a fresh solver by name: one of ``SOLVERS`` or one that a plugin registers.

    Raises:
        UserError: no such solver.
    """
    if name in SOLVERS:
        return SOLVERS[name]()
    from dar_bench.plugins import load_object

    solver: OdeSolver = load_object(_registered(name))()
    return solver


def check_solver(name: str) -> None:
    """Refuse what ``make_solver`` would refuse, without making or loading anything.

    Raises:
        UserError: no such solver, with the nearest name.
    """
    if name not in SOLVERS:
        _registered(name)


def _registered(name: str) -> str:
    from dar_bench.plugins import registry

    targets: dict[str, str] = registry().components("solvers")
    if name not in targets:
        raise unknown_name("solver", name, [*SOLVERS, *targets])
    return targets[name]
