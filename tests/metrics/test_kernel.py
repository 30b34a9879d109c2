from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from dar_bench.errors import UserError
from dar_bench.metrics import kernel
from dar_bench.metrics.kernel import kernel_distance

Array = npt.NDArray[np.float64]


def direct(x: Array, y: Array) -> float:
    def k(a: Array, b: Array) -> Array:
        return np.asarray((a @ b.T / x.shape[1] + 1.0) ** 3)

    n, m = len(x), len(y)
    xx = (k(x, x).sum() - np.trace(k(x, x))) / (n * (n - 1))
    yy = (k(y, y).sum() - np.trace(k(y, y))) / (m * (m - 1))
    return float(xx + yy - 2 * k(x, y).mean())


def draws(n: int, shift: float, seed: int) -> Array:
    return np.random.default_rng(seed).normal(size=(n, 10)) + shift


def test_equals_the_formula_whatever_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = draws(90, 0.0, 0), draws(70, 0.4, 1)
    assert kernel_distance(x, y).value == pytest.approx(direct(x, y), rel=1e-12)
    monkeypatch.setattr(kernel, "_ROWS", 7)
    assert kernel_distance(x, y).value == pytest.approx(direct(x, y), rel=1e-12)


def test_value_in_one_dimension_by_hand() -> None:
    """k(x, y) = (xy + 1)^3: eight 0s against eight 1s give 1 + 8 - 2."""
    assert kernel_distance(np.zeros((8, 1)), np.ones((8, 1))).value == pytest.approx(7.0, rel=1e-12)


def test_is_unbiased_for_equal_distributions() -> None:
    values = [kernel_distance(draws(40, 0.0, 2 * s), draws(40, 0.0, 2 * s + 1)).value for s in range(200)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(200)
    assert min(values) < 0.0 < max(values)


def test_seed_fixes_the_error_and_leaves_the_value() -> None:
    x, y = draws(100, 0.0, 0), draws(100, 0.2, 1)
    first, again, other = (kernel_distance(x, y, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert other.value == first.value and other.stderr != first.stderr


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_standard_error_is_not_below_the_spread_of_repeated_draws(shift: float) -> None:
    estimates = [kernel_distance(draws(200, 0.0, 2 * s), draws(200, shift, 2 * s + 1)) for s in range(150)]
    ratio = np.sqrt(np.mean([e.stderr**2 for e in estimates])) / np.std([e.value for e in estimates])
    # For equal distributions the full-sample value is far more precise than the blocks' mean.
    assert 0.8 < ratio < (1.5 if shift else 6.0)


def test_bad_input_is_refused() -> None:
    with pytest.raises(UserError, match="samples hold 7, at least 8"):
        kernel_distance(draws(20, 0.0, 0), draws(7, 0.0, 0))
    with pytest.raises(UserError, match="not finite"):
        kernel_distance(draws(20, 0.0, 0), draws(20, np.nan, 0))
    with pytest.raises(UserError, match="dimensions"):
        kernel_distance(draws(20, 0.0, 0), draws(20, 0.0, 0)[:, :3])
