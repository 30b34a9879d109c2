"""Every rule of 'dar-bench plugins check dar' as a test of its own."""

from __future__ import annotations

import pytest
import torch

from dar_bench.conformance.pytest import conformance_tests


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


test_conformance = conformance_tests("dar")
