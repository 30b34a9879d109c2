"""What sharing saves in a sweep: the four rows of the paper's Table 5 against the row of all tokens alone.

    python benchmarks/sweeps.py
    python benchmarks/sweeps.py --shape dar-l --batch 8 --device cuda --json

Variants, all with the same random weights, labels and random numbers, from labels to features:

    one-row     sample all tokens, decode them, extract the images' features
    four-rows   the same, with the images of a quarter, a half and three quarters of the tokens beside them
    apart       the four rows, each sampled and decoded on its own

The promise is that four-rows takes at most 1.15 times one-row. Repeats alternate between the variants, after a round
that is not counted; medians are reported. The images of both ways to four rows must be equal.
"""

from __future__ import annotations

import json
import statistics
from typing import Any

import click
import torch
from dar_bench_dar.cards import AR_OPTIONS, decode_options
from dar_bench_dar.model.ar import build_ar
from dar_bench_dar.model.tokenizer import SequentialDiffusionTokenizer
from dar_bench_dar.sample import DarTokenizer
from measuring import in_turns, machine, show_machine
from shapes import SHAPES, generator_recipe, tokenizer_config, tokenizer_recipe

from dar_bench.api import GeneratorCard, SampleKeys, TokenizerCard, WeightsFile
from dar_bench.decoding import decode_prefixes
from dar_bench.features.base import Extractor
from dar_bench.features.names import load_extractor
from dar_bench.nn.llama import LlamaConfig
from dar_bench.options import parse_options
from dar_bench.sampling.autoregressive import AutoregressiveGenerator

BATCH = {"tiny": 16, "dar-l/4": 2}


def build(shape: str, device: str) -> AutoregressiveGenerator:
    """Return a generator of the shape with random weights."""
    torch.manual_seed(0)
    sizes = tokenizer_config(tokenizer_recipe(shape))
    recipe = generator_recipe(shape)
    network = build_ar(
        LlamaConfig(
            layers=recipe.model.depth,
            heads=recipe.model.heads,
            dim=recipe.model.width,
            codebook_size=sizes.codebook_size,
            num_tokens=sizes.tokens,
            num_classes=recipe.model.num_classes,
        )
    )
    # A fresh output projection is zero: every code would be as probable as any other.
    torch.nn.init.normal_(network.output.weight, std=0.1)
    common: dict[str, Any] = {
        "summary": "random weights",
        "parameters": 0,
        "image_size": sizes.image_size,
        "load": "",
        "weights": WeightsFile(filename=""),
    }
    decoding = decode_options(sizes.tokens, sizes.groups)
    tokenizer_card = TokenizerCard(
        name="tokenizer",
        family="tokenizer",
        tokens=sizes.tokens,
        codebook_size=sizes.codebook_size,
        groups=sizes.groups,
        options=decoding,
        **common,
    )
    card = GeneratorCard(
        name="generator",
        family="vanilla AR",
        num_classes=recipe.model.num_classes,
        tokenizer="tokenizer",
        options=AR_OPTIONS + decoding,
        **common,
    )
    model = SequentialDiffusionTokenizer(sizes).to(device).eval().requires_grad_(False)
    network.to(device).eval().requires_grad_(False)
    return AutoregressiveGenerator(card, network, DarTokenizer(tokenizer_card, model), torch.device(device))


def rows(
    generator: AutoregressiveGenerator, extractor: Extractor, batch: int, counts: tuple[int, ...]
) -> dict[int, torch.Tensor]:
    """Return the images of every count of tokens, from one sampling; their features are extracted and dropped."""
    options = parse_options(generator.card, {"cfg": "linear:1.1-8.0", "tokens": str(max(counts))})
    keys = SampleKeys(seed=0, indices=tuple(range(batch)))
    labels = torch.arange(batch) % generator.card.num_classes
    codes = generator.codes(labels, keys, options)
    images = decode_prefixes(generator.tokenizer, codes, keys, options, counts)
    for found in images.values():
        extractor.extract(found)
    return images


def compare(shape: str, batch: int, repeats: int, device: str) -> dict[str, Any]:
    """Measure the variants in turns and return seconds and ratios."""
    generator = build(shape, device)
    extractor = load_extractor(device=device)
    tokens = generator.tokenizer.card.tokens
    quarters = tuple(tokens * part // 4 for part in (1, 2, 3, 4))
    variants = {
        "one-row": lambda: rows(generator, extractor, batch, (tokens,)),
        "four-rows": lambda: rows(generator, extractor, batch, quarters),
        "apart": lambda: {count: rows(generator, extractor, batch, (count,))[count] for count in quarters},
    }
    seconds, images = in_turns(variants, repeats, torch.device(device))
    for count in quarters:
        if not torch.equal(images["four-rows"][count], images["apart"][count]):
            raise SystemExit(f"The images of {count} tokens differ; the comparison is void.")
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "shape": shape,
        "batch": batch,
        "seconds": medians,
        "four-rows / one-row": medians["four-rows"] / medians["one-row"],
        "apart / four-rows": medians["apart"] / medians["four-rows"],
    }


@click.command(help=__doc__)
@click.option(
    "--shape", "shapes", type=click.Choice(list(SHAPES)), multiple=True, help="[default: tiny, dar-l/4]"
)
@click.option("--batch", type=click.IntRange(min=1), help="Samples at a time.  [default: by shape]")
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--device", default="cpu", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(shapes: tuple[str, ...], batch: int | None, repeats: int, device: str, as_json: bool) -> None:
    """Measure and print."""
    results = [
        compare(shape, batch or BATCH.get(shape, 8), repeats, device) for shape in shapes or tuple(BATCH)
    ]
    if as_json:
        print(json.dumps({"machine": machine(device), "results": results}, indent=2))
        return
    show_machine(device)
    for result in results:
        times = ", ".join(f"{name} {value:.2f} s" for name, value in result["seconds"].items())
        print(f"{result['shape']}, batch {result['batch']}: {times}")
        for name in ("four-rows / one-row", "apart / four-rows"):
            print(f"  {name}: {result[name]:.3f}")


if __name__ == "__main__":
    main()
