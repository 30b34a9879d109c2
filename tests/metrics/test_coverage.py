"""The stated errors hold: 95 % intervals cover what they should, on sources whose truth is known."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "coverage.py"
RUNS = 60


@pytest.fixture(scope="module")
def coverage() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_coverage", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def at_least(level: float) -> float:
    """Four standard deviations below a coverage of ``level`` in ``RUNS`` runs."""
    return level - 4 * math.sqrt(level * (1 - level) / RUNS)


def test_distances_of_gaussians(coverage: ModuleType) -> None:
    found = {
        (row.score, row.target): row
        for row in coverage.rows(coverage.gaussians("far", 300, 1.0, 1.3), RUNS, 1)
    }
    assert found["FD", "mean"].coverage >= at_least(0.95)
    assert found["KD", "exact"].coverage >= at_least(0.95)
    assert found["FD-infinity", "exact"].coverage >= at_least(0.90)
    # The bias of FD at finite n is real and above the interval; the extrapolation takes it away.
    assert found["FD", "exact"].bias > 1.0 > abs(found["FD-infinity", "exact"].bias)


def test_reconstructions(coverage: ModuleType) -> None:
    found = {row.target: row for row in coverage.rows(coverage.reconstructions(300), RUNS, 1)}
    assert found["mean"].coverage >= at_least(0.95)


def test_manifold_scores(coverage: ModuleType) -> None:
    found = {row.score: row for row in coverage.rows(coverage.manifolds("equal", 200, 1.0), RUNS, 1)}
    for name in ("precision", "recall", "density", "coverage"):
        assert found[name].coverage >= at_least(0.95), name
    # The binomial part alone is 0.7 of the true spread of recall here: other samples cover other points.
    assert found["recall"].error_ratio > 1.0
