from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from dar_bench.data import prefetch
from dar_bench.data.prefetch import prefetched


def test_items_come_in_order() -> None:
    assert list(prefetched(range(100))) == list(range(100))
    assert list(prefetched([])) == []


def test_items_are_made_ahead_and_not_too_far() -> None:
    made: list[int] = []
    ahead = threading.Event()

    def items() -> Iterator[int]:
        for number in range(50):
            made.append(number)
            if number == 3:
                ahead.set()
            yield number

    stream = prefetched(items(), depth=2)
    assert next(stream) == 0
    # One was taken, two wait, one is in the maker's hands: the fourth is made without being asked for.
    assert ahead.wait(10)
    assert len(made) <= 4
    assert list(stream) == list(range(1, 50))


def test_errors_come_where_the_item_would_have_come() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken image")

    stream = prefetched(items())
    assert next(stream) == 1
    with pytest.raises(ValueError, match="broken image"):
        next(stream)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_the_thread_ends_when_the_consumer_stops(error: type[BaseException]) -> None:
    def items() -> Iterator[int]:
        number = 0
        while True:
            yield number
            number += 1

    stream = prefetched(items(), depth=2)
    with pytest.raises(error):
        for number in stream:
            if number == 3:
                stream.throw(error)
    stream.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_an_item_that_hangs_does_not_keep_the_consumer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefetch, "_PATIENCE_S", 0.01)
    hangs, let_go = threading.Event(), threading.Event()

    def items() -> Iterator[int]:
        yield 0
        hangs.set()
        let_go.wait()
        yield 1

    stream = prefetched(items())
    assert next(stream) == 0
    assert hangs.wait(10)
    stream.close()
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "prefetch"]
    let_go.set()
    thread.join()
