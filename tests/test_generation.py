from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from dar_bench.api import GeneratedBatch, Options, SampleKeys
from dar_bench.generation import GenerationRun, generate, only_final


class Echo:
    """'Images' that hold the sample's index and label; one preview before each."""

    card: Any = None

    def __init__(self) -> None:
        self.seen: list[tuple[SampleKeys, torch.Tensor | None]] = []

    def generate(
        self,
        labels: torch.Tensor,
        keys: SampleKeys,
        options: Options,
        *,
        previews: bool = False,
        prefix: torch.Tensor | None = None,
    ) -> Iterator[GeneratedBatch]:
        self.seen.append((keys, prefix))
        images = torch.zeros(len(keys), 3, 2, 2, dtype=torch.uint8)
        images[:, 0] = torch.tensor(keys.indices)[:, None, None]
        images[:, 1] = labels[:, None, None]
        for done in (1, 2) if previews else (2,):
            yield GeneratedBatch(
                indices=keys.indices, labels=labels, images=images, groups_done=done, groups=2
            )


def run(**changes: Any) -> GenerationRun:
    settings: dict[str, Any] = {"labels": [5, 6, 7, 8, 9], "seed": 3, "options": {}, "batch_size": 2}
    return GenerationRun(**{**settings, **changes})


def test_batches_cover_the_run_in_order() -> None:
    generator = Echo()
    batches = list(generate(generator, run(first=10)))
    assert [batch.indices for batch in batches] == [(10, 11), (12, 13), (14,)]
    assert [batch.labels.tolist() for batch in batches] == [[5, 6], [7, 8], [9]]
    assert all(keys.seed == 3 for keys, _ in generator.seen)


def test_previews_come_before_their_batchs_images() -> None:
    batches = list(generate(Echo(), run(previews=True)))
    assert [batch.final for batch in batches] == [False, True] * 3
    assert [batch.final for batch in generate(Echo(), run())] == [True] * 3


def test_every_sample_gets_the_prefix() -> None:
    generator = Echo()
    list(generate(generator, run(prefix=torch.tensor([1, 2, 3]))))
    prefixes = [prefix.tolist() for _, prefix in generator.seen if prefix is not None]
    assert prefixes == [[[1, 2, 3]] * 2, [[1, 2, 3]] * 2, [[1, 2, 3]]]


def test_only_final_images_are_passed_on_and_counted() -> None:
    counted: list[int] = []
    images = torch.cat(list(only_final(generate(Echo(), run(previews=True)), counted.append)))
    assert images[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]
    assert counted == [2, 2, 1]


def test_a_stream_makes_no_more_than_was_taken() -> None:
    generator = Echo()
    next(generate(generator, run()))
    assert len(generator.seen) == 1
