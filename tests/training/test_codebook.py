"""Codebook terms against closed forms."""

from __future__ import annotations

import math
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dar_bench.training.codebook import assignment_entropy, distinct, uniformity


def test_uniformity_of_equal_latents_is_zero() -> None:
    assert float(uniformity(torch.ones(5, 3, 8))) == pytest.approx(0.0, abs=1e-6)


def test_uniformity_of_opposite_latents() -> None:
    pair = torch.stack([torch.ones(2, 8), -torch.ones(2, 8)])
    assert float(uniformity(pair)) == pytest.approx(-8.0, rel=1e-5)  # |a - b|^2 is 4


def test_uniformity_ignores_length_and_prefers_spread() -> None:
    random = torch.randn(16, 4, 8, generator=torch.Generator().manual_seed(0))
    assert float(uniformity(random)) == pytest.approx(float(uniformity(3 * random)), rel=1e-5)
    assert float(uniformity(random)) < float(uniformity(random + 2)) < 0


def test_share_of_codes() -> None:
    assert float(distinct(torch.tensor([[0, 3], [3, 3]]), 8)) == pytest.approx(2 / 8)


def test_entropy_of_sure_and_even_assignments_is_minus_log_v() -> None:
    codebook = torch.eye(8)
    assert float(assignment_entropy(codebook[None], codebook)) == pytest.approx(-math.log(8), rel=1e-5)


def test_entropy_is_zero_where_every_vector_has_the_same_assignment() -> None:
    vectors = torch.nn.functional.normalize(torch.ones(2, 5, 8), dim=-1)
    codebook = torch.nn.functional.normalize(
        torch.randn(16, 8, generator=torch.Generator().manual_seed(0)), dim=-1
    )
    assert float(assignment_entropy(vectors, codebook)) == pytest.approx(0.0, abs=1e-5)


def test_entropy_by_plain_definition() -> None:
    generator = torch.Generator().manual_seed(1)
    z = torch.nn.functional.normalize(torch.randn(2, 3, 4, generator=generator), dim=-1)
    e = torch.nn.functional.normalize(torch.randn(5, 4, generator=generator), dim=-1)
    rows = []
    for vector in z.flatten(0, 1):
        weights = [math.exp(-float((vector - code).square().sum()) / 0.5) for code in e]
        rows.append([weight / sum(weights) for weight in weights])
    mean = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    each = sum(-p * math.log(p) for row in rows for p in row) / len(rows)
    expected = each + sum(p * math.log(p) for p in mean)
    assert float(assignment_entropy(z, e, temperature=0.5)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.timeout(600)  # starting processes takes long on a busy machine; nothing here measures time
def test_two_processes_have_the_uniformity_gradient_of_one(tmp_path: Path) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    script = Path(__file__).parent / "uniformity_process.py"
    done = subprocess.run([*launcher, str(script), str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    functions = runpy.run_path(str(script))
    expected = functions["gradient"](functions["all_rows"]())
    assert expected.abs().max() > 0.05
    for rank in range(2):
        torch.testing.assert_close(torch.load(tmp_path / f"{rank}.pt"), expected, rtol=1e-5, atol=1e-6)
