"""The counted operations of D-AR against arithmetic on its sizes."""

from __future__ import annotations

from dar_bench_dar.cards import DAR_TINY

from dar_bench.api import GeneratorCard, LoadOptions
from dar_bench.counting import generation_cost
from dar_bench.generation import GenerationRun
from dar_bench.loading import LoadedGenerator, load_generator
from dar_bench.options import parse_options

# The Llama: 6 layers of width 128, feed-forward 512, 1024 codes, 64 tokens read one after the other.
LAYERS, WIDTH, HIDDEN, CODES, TOKENS = 6, 128, 512, 1024, 64
MATRICES = LAYERS * (WIDTH * 3 * WIDTH + WIDTH * WIDTH + 3 * WIDTH * HIDDEN) + WIDTH * CODES
# Position p attends to p + 1 positions: a product with the keys and one with the values.
ATTENTION = LAYERS * 2 * WIDTH * sum(position + 1 for position in range(TOKENS))
LLAMA = 2 * (TOKENS * MATRICES + ATTENTION)

# The pixel decoder: 6 blocks of width 128 on 64 patches of 48 values, 16 condition tokens per step.
PATCHES, VALUES, GROUP, BLOCKS = 64, 48, 16, 6
CONDITIONS = GROUP * WIDTH * WIDTH * 2 + GROUP * WIDTH * 2 * WIDTH  # embedding, then keys and values
CROSS = 2 * PATCHES * WIDTH * WIDTH + 2 * PATCHES * GROUP * WIDTH
SELF = 4 * PATCHES * WIDTH * WIDTH + 2 * PATCHES * PATCHES * WIDTH
REST = (
    2 * WIDTH * WIDTH + PATCHES * WIDTH * 6 * WIDTH + 2 * PATCHES * WIDTH * 4 * WIDTH
)  # time, modulation, MLP
VELOCITY = 2 * (
    GROUP * WIDTH * WIDTH + 2 * PATCHES * VALUES * WIDTH + BLOCKS * (CONDITIONS + CROSS + SELF + REST)
)


def cost(generator: LoadedGenerator, **options: str) -> tuple[float, dict[str, int]]:
    assert isinstance(generator.card, GeneratorCard)
    run = GenerationRun(labels=[0], seed=0, options=parse_options(generator.card, options))
    found = generation_cost(generator, run)
    assert found.flops is not None
    return found.flops, dict(found.evaluations)


def test_operations_and_evaluations_follow_from_the_sizes() -> None:
    generator = load_generator(DAR_TINY, LoadOptions())
    plain, calls = cost(generator, cfg="none", solver="euler")
    assert calls == {"generator": TOKENS, "tokenizer": 4}
    guided, _ = cost(generator, cfg="2.0", solver="euler")
    assert guided - plain == LLAMA, "guidance runs the Llama a second time and nothing else"
    more, calls = cost(generator, cfg="none", solver="euler", steps="8")
    assert more - plain == 4 * VELOCITY
    assert calls == {"generator": TOKENS, "tokenizer": 8}
