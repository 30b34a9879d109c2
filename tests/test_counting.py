"""Operations and evaluations are counted as they are executed, on networks whose cost is known by arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from dar_bench.api import GeneratedBatch, LoadOptions, SampleKeys
from dar_bench.counting import generation_cost, reconstruction_cost
from dar_bench.generation import GenerationRun
from dar_bench.loading import LoadedGenerator, LoadedTokenizer
from dar_bench.memory import PeakMemory

SIDE, IN, OUT, KERNEL = 16, 3, 8, 3
CONVOLUTION = 2 * SIDE * SIDE * OUT * IN * KERNEL * KERNEL
HEADS, QUERIES, KEYS, WIDTH = 2, 5, 7, 16
ATTENTION = 2 * 2 * HEADS * QUERIES * KEYS * WIDTH


class Convolutions:
    """A tokenizer whose encoder is one convolution and whose decoder runs another one three times."""

    def __init__(self) -> None:
        self.card = object()
        self.parts = {"unused": 1}
        self.encoder = nn.Conv2d(IN, OUT, KERNEL, padding=1)
        self.decoder = nn.Conv2d(IN, 4 * OUT, KERNEL, padding=1)

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        self.encoder(images.float())
        return torch.zeros(len(images), 4, dtype=torch.int64)

    def decode(self, codes: torch.Tensor, keys: SampleKeys, options: Any) -> torch.Tensor:
        for _ in range(3):
            self.decoder(torch.zeros(len(codes), IN, SIDE, SIDE))
        return torch.zeros(len(codes), 3, SIDE, SIDE, dtype=torch.uint8)


class Attending:
    """A generator that attends, multiplies matrices and previews once; its guidance doubles the batch."""

    def __init__(self) -> None:
        self.network = nn.Linear(WIDTH, 10, bias=False)
        self.previews = 0

    def generate(
        self,
        labels: torch.Tensor,
        keys: SampleKeys,
        options: Any,
        *,
        previews: bool = False,
        prefix: Any = None,
    ) -> Iterator[GeneratedBatch]:
        batch = len(labels) * 2
        with torch.inference_mode():
            for _ in range(4):
                query = torch.randn(batch, HEADS, QUERIES, WIDTH)
                key = torch.randn(batch, HEADS, KEYS, WIDTH)
                nn.functional.scaled_dot_product_attention(query, key, key)
                self.network(torch.zeros(batch, WIDTH))
        images = torch.zeros(len(labels), 3, 8, 8, dtype=torch.uint8)
        if previews:
            self.previews += 1
            yield GeneratedBatch(indices=keys.indices, labels=labels, images=images, groups_done=1, groups=2)
            raise AssertionError("only the first preview is asked for")
        yield GeneratedBatch(indices=keys.indices, labels=labels, images=images)


def test_convolutions_are_counted_as_by_hand() -> None:
    tokenizer = LoadedTokenizer(
        card=cast(Any, None), model=cast(Any, Convolutions()), weights_sha256="", options=LoadOptions()
    )
    image = torch.zeros(1, 3, SIDE, SIDE, dtype=torch.uint8)
    cost = reconstruction_cost(tokenizer, image, seed=0, options={})
    assert cost.flops == CONVOLUTION + 3 * 4 * CONVOLUTION
    assert cost.evaluations == {"tokenizer": 3}, "the decoder has most of the parameters"


def test_attention_guidance_and_matrices_are_counted_as_by_hand() -> None:
    model = Attending()
    generator = LoadedGenerator(
        card=cast(Any, None), model=cast(Any, model), weights_sha256="", options=LoadOptions()
    )
    cost = generation_cost(generator, GenerationRun(labels=[3, 1, 2], seed=0, options={}))
    assert cost.flops == 4 * 2 * (ATTENTION + 2 * WIDTH * 10)
    assert cost.evaluations == {"generator": 4}
    assert model.previews == 1
    assert cost.first_preview_seconds is not None and cost.first_preview_seconds > 0


def test_a_model_without_networks_costs_no_operations() -> None:
    class Colours:
        def generate(
            self, labels: torch.Tensor, keys: SampleKeys, *_: Any, **__: Any
        ) -> Iterator[GeneratedBatch]:
            images = torch.zeros(len(labels), 3, 8, 8, dtype=torch.uint8)
            yield GeneratedBatch(indices=keys.indices, labels=labels, images=images)

    generator = LoadedGenerator(
        card=cast(Any, None), model=cast(Any, Colours()), weights_sha256="", options=LoadOptions()
    )
    cost = generation_cost(generator, GenerationRun(labels=[0], seed=0, options={}))
    assert cost.flops is None and cost.evaluations == {}


def test_peak_memory_sees_what_was_held_for_a_moment() -> None:
    size = 96 << 20
    with PeakMemory("cpu") as memory:
        held = np.ones(size, dtype=np.uint8)
        del held
    # Where the system has no peak that can be reset, the work may not have raised that of the whole process.
    assert memory.bytes is None or memory.bytes >= size * 0.9


def test_peak_memory_of_little_work_is_little() -> None:
    with PeakMemory("cpu") as memory:
        sum(range(1000))
    assert memory.bytes is None or memory.bytes < 32 << 20
