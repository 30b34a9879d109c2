from __future__ import annotations

from itertools import chain, islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dar_bench.errors import UserError
from dar_bench.training.order import StepSampler, epoch_order


@given(seed=st.integers(0, 2**63 - 1), epoch=st.integers(0, 1000), count=st.integers(1, 200))
def test_an_epoch_is_a_permutation(seed: int, epoch: int, count: int) -> None:
    assert sorted(epoch_order(seed, epoch, count)) == list(range(count))


def test_the_order_is_fixed_for_all_time() -> None:
    # Written down from the first release: published seeds must keep their meaning.
    assert epoch_order(0, 0, 8).tolist() == [0, 2, 1, 5, 4, 3, 6, 7]
    assert epoch_order(0, 1, 8).tolist() != epoch_order(0, 0, 8).tolist()
    assert epoch_order(1, 0, 8).tolist() != epoch_order(0, 0, 8).tolist()


def sampler(**changes: int) -> StepSampler:
    arguments = {"count": 10, "seed": 3, "batch_size": 4, "micro_batch": 0, "start": 0, "steps": 7}
    return StepSampler(**{**arguments, **changes})


def test_batches_flow_over_the_end_of_an_epoch() -> None:
    draws = list(chain.from_iterable(sampler()))
    assert [draw for _, draw in draws] == list(range(28))
    indices = [index for index, _ in draws]
    assert indices == list(chain(*(epoch_order(3, epoch, 10) for epoch in range(3))))[:28]


def test_a_batch_may_be_larger_than_the_data() -> None:
    (batch,) = sampler(count=3, batch_size=8, steps=1)
    assert [index for index, _ in batch] == list(chain(*(epoch_order(3, epoch, 3) for epoch in range(3))))[:8]


def test_starting_later_gives_the_rest_of_the_same_sequence() -> None:
    assert list(sampler(start=3)) == list(sampler())[3:]
    assert len(sampler(start=3)) == 4


@pytest.mark.parametrize(("world", "micro"), [(1, 2), (2, 0), (2, 1), (4, 1)])
def test_processes_and_micro_batches_share_out_the_same_global_batches(world: int, micro: int) -> None:
    parts = [sampler(micro_batch=micro, rank=rank, world=world) for rank in range(world)]
    assert all(len(part) == len(list(part)) for part in parts)
    streams = [iter(part) for part in parts]
    for batch in sampler():
        together = [
            draw
            for stream, part in zip(streams, parts, strict=True)
            for micro_batch in islice(stream, part.micro_batches)
            for draw in micro_batch
        ]
        assert together == batch


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"count": 0}, "no examples"),
        ({"world": 3}, "over 3 processes"),
        ({"micro_batch": 3}, "micro-batches of 3"),
    ],
)
def test_uneven_splits_are_user_errors(changes: dict[str, int], words: str) -> None:
    with pytest.raises(UserError, match=words):
        sampler(**changes)


def test_orders_of_far_epochs_do_not_pile_up() -> None:
    many = sampler(steps=400)
    assert sum(len(batch) for batch in many) == 1600
    assert len(many._orders) <= 2
    assert np.array_equal(many._orders[159], epoch_order(3, 159, 10))
