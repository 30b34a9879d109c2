from __future__ import annotations

import torch
from torch import nn

from dar_bench.training.ema import Ema


def test_average_follows_the_recurrence_and_copies_buffers() -> None:
    module = nn.BatchNorm1d(3)
    ema = Ema(module)
    expected = module.weight.detach().clone()
    for number in range(5):
        with torch.no_grad():
            module.weight.add_(number + 1.0)
            module.running_mean.fill_(number)
            module.num_batches_tracked.fill_(number)
        ema.update(0.75)
        expected = 0.75 * expected + 0.25 * module.weight.detach()
    torch.testing.assert_close(ema.module.weight.detach(), expected)
    assert torch.equal(ema.module.running_mean, torch.full((3,), 4.0))
    assert ema.module.num_batches_tracked == 4


def test_average_shares_nothing_with_its_source() -> None:
    module = nn.Linear(2, 2)
    ema = Ema(module)
    before = ema.module.weight.clone()
    with torch.no_grad():
        module.weight.zero_()
    assert torch.equal(ema.module.weight, before)
    assert not ema.module.training
    assert not any(parameter.requires_grad for parameter in ema.module.parameters())
