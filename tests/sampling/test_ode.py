"""Solvers against closed forms: their order, their coefficients, their jumps."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from dar_bench.errors import UserError
from dar_bench.sampling.ode import SOLVERS, make_solver


def exponential(x: torch.Tensor, t: float) -> torch.Tensor:
    """dx/dt = 2 t x, whose solution is x(0) exp(t^2)."""
    return 2 * t * x


def integrate(name: str, times: list[float]) -> float:
    solver = make_solver(name)
    x = torch.ones(1, dtype=torch.float64)
    for t, following in itertools.pairwise(times):
        x = solver.advance(exponential, x, t, following)
    return float(x)


def uneven(steps: int) -> list[float]:
    return [(i / steps) / (i / steps + 2 * (1 - i / steps)) for i in range(steps)] + [1.0]


def even(steps: int) -> list[float]:
    return [i / steps for i in range(steps + 1)]


@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("ab2", 2), ("heun", 2), ("midpoint", 2)])
@pytest.mark.parametrize("times", [even, uneven], ids=["even", "uneven"])
def test_order_of_convergence(name: str, order: int, times: object) -> None:
    assert callable(times)
    errors = [abs(integrate(name, times(steps)) - math.e) for steps in (200, 400)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.06)


def alternating(steps: int) -> list[float]:
    lengths = [1 + i % 2 for i in range(steps)]
    return [sum(lengths[:i]) / sum(lengths) for i in range(steps)] + [1.0]


def test_constant_adams_needs_steps_of_slowly_varying_length() -> None:
    for times, order in ((even, 2), (uneven, 2), (alternating, 1)):
        errors = [abs(integrate("adams2", times(steps)) - math.e) for steps in (200, 400)]
        assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.06)
    assert abs(integrate("ab2", alternating(400)) - math.e) < errors[1] / 20


def test_variable_adams_equals_the_constant_one_on_even_steps() -> None:
    assert integrate("ab2", even(10)) == pytest.approx(integrate("adams2", even(10)), rel=1e-12)


@pytest.mark.parametrize("name", SOLVERS)
def test_network_calls_per_step(name: str) -> None:
    calls = []

    def velocity(x: torch.Tensor, t: float) -> torch.Tensor:
        calls.append(t)
        return x

    solver = make_solver(name)
    solver.advance(velocity, torch.ones(1), 0.0, 0.5)
    assert len(calls) == solver.evaluations
    solver.jump(plain=True)
    solver.jump(plain=False)
    assert len(calls) == solver.evaluations, "a preview costs no network call"


@pytest.mark.parametrize("name", SOLVERS)
def test_jump_after_a_step_to_the_end_is_that_step(name: str) -> None:
    solver = make_solver(name)
    x = solver.advance(exponential, torch.ones(1), 0.0, 0.4)
    x = solver.advance(exponential, x, 0.4, 1.0)
    torch.testing.assert_close(solver.jump(plain=False), x)


@pytest.mark.parametrize("name", SOLVERS)
def test_jump_follows_a_constant_velocity_exactly(name: str) -> None:
    solver = make_solver(name)
    x = torch.zeros(1)
    for t, following in ((0.0, 0.1), (0.1, 0.5)):
        x = solver.advance(lambda x, t: torch.full_like(x, 3.0), x, t, following)
        assert float(solver.jump(plain=False)) == pytest.approx(3.0)
        assert float(solver.jump(plain=True)) == pytest.approx(3.0)


def test_unknown_solver_suggests() -> None:
    with pytest.raises(UserError, match="Did you mean 'heun'"):
        make_solver("huen")
