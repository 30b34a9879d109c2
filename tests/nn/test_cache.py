"""The static cache."""

from __future__ import annotations

import torch

from dar_bench.nn.cache import KVCache


def new(attend_prefix: bool) -> KVCache:
    return KVCache(
        layers=2,
        batch=4,
        heads=3,
        positions=10,
        head_dim=6,
        dtype=torch.float32,
        device="cpu",
        attend_prefix=attend_prefix,
    )


def test_capacity_is_rounded_up_to_eight() -> None:
    cache = new(True)
    assert (cache.batch, cache.capacity) == (4, 16)
    assert [tuple(keys.shape) for keys in cache.keys] == [(4, 3, 16, 6)] * 2


def test_rows_share_memory() -> None:
    cache = new(False)
    half = cache.rows(2, 4)
    assert half.batch == 2
    one = torch.ones(2, 3, 1, 6)
    half.write_step(1, torch.tensor(5), one, 2 * one)
    assert cache.keys[1][2:, :, 5].eq(1).all()
    assert cache.values[1][2:, :, 5].eq(2).all()
    assert cache.keys[1].sum() == one.sum()
    assert not cache.keys[0].any()


def test_what_a_step_attends_to() -> None:
    one, position = torch.ones(4, 3, 1, 6), torch.tensor(5)
    prefix, full = new(True), new(False)
    assert prefix.write_step(0, position, one, one)[0].shape[2] == 6
    assert prefix.step_mask(position) is None
    assert full.write_step(0, position, one, one)[0].shape[2] == 16
    mask = full.step_mask(position)
    assert mask is not None
    assert mask.tolist() == [[True] * 6 + [False] * 10]


def test_a_span_sees_what_is_before_it() -> None:
    cache = new(True)
    span = torch.arange(1.0, 4.0)[None, None, :, None].expand(4, 3, 3, 6)
    keys, values = cache.write_span(1, 2, span, -span)
    assert keys[0, 0, :, 0].tolist() == [0, 0, 1, 2, 3]
    assert values[0, 0, :, 0].tolist() == [0, 0, -1, -2, -3]
    assert cache.span_mask(2, 3).int().tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]
