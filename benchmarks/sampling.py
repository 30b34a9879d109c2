"""Tokens per second of the sampling engine, side by side with two plain ways to do the same work.

    python benchmarks/sampling.py --shape tiny --batch 1 --batch 16
    python benchmarks/sampling.py --shape dar-l --batch 1 --tokens 4 --prefix 16 --json

Variants, all with classifier-free guidance, the same random weights and random numbers:

    engine          dar_bench.sampling.engine with its static cache
    engine-compiled the same with torch.compile (only with --compile)
    concat-cache    a cache that grows by concatenation at every token, as in Hugging Face's DynamicCache
    no-cache        the whole sequence is read again for every token

A measurement times the tokens after the first that follows the prefix, so that neither prefill nor warm-up
counts. Repeats alternate between the variants; medians are reported. The variants must agree on the tokens.
"""

from __future__ import annotations

import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import click
import numpy as np
import torch
import torch.nn.functional as F
from measuring import machine, show_machine, synchronize

from dar_bench.api import SampleKeys
from dar_bench.nn.llama import Block, Llama, LlamaConfig
from dar_bench.nn.rotary import rotary_table
from dar_bench.sampling.engine import generate_tokens
from dar_bench.sampling.filters import draw
from dar_bench.sampling.guidance import Schedule, parse_schedule
from dar_bench.sampling.randomness import words

SHAPES = {
    "tiny": LlamaConfig(layers=6, heads=3, dim=192, codebook_size=1024, num_tokens=64, num_classes=9),
    "dar-l": LlamaConfig(
        layers=24, heads=16, dim=1024, codebook_size=16384, num_tokens=256, num_classes=1000
    ),
    "dar-xl": LlamaConfig(
        layers=36, heads=20, dim=1280, codebook_size=16384, num_tokens=256, num_classes=1000
    ),
}

Sampler = Callable[[Llama, torch.Tensor, SampleKeys, Schedule, torch.Tensor], Iterator[torch.Tensor]]


def engine(
    network: Llama, labels: torch.Tensor, keys: SampleKeys, schedule: Schedule, prefix: torch.Tensor
) -> Iterator[torch.Tensor]:
    """Yield (B, 1) tokens, those of the prefix left out."""
    groups = generate_tokens(network, labels, keys, schedule=schedule, prefix=prefix, group=1)
    return itertools.islice(groups, prefix.shape[1], None)


def concat_cache(
    network: Llama, labels: torch.Tensor, keys: SampleKeys, schedule: Schedule, prefix: torch.Tensor
) -> Iterator[torch.Tensor]:
    """Yield (B, 1) tokens; keys and values are concatenated to what is cached."""
    cached: list[tuple[torch.Tensor, torch.Tensor] | None] = [None] * network.config.layers
    seen = 0

    def read(labels: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        nonlocal seen
        new = network.tok_embeddings(codes[:, max(seen - 1, 0) :])
        if seen == 0:
            new = torch.cat((network.cls_embedding(labels)[:, None], new), dim=1)
        table = network.rotary[seen : seen + new.shape[1]]
        for index, block in enumerate(cast("list[Block]", list(network.layers))):
            q, k, v = block.attention.project(block.attention_norm(new), table)
            past = cached[index]
            if past is not None:
                k, v = torch.cat((past[0], k), dim=2), torch.cat((past[1], v), dim=2)
            cached[index] = (k, v)
            # Causal over the prefill; a single new token may see everything.
            attended = F.scaled_dot_product_attention(q, k, v, is_causal=past is None)
            new = new + block.attention.combine(attended)
            new = new + block.feed_forward(block.ffn_norm(new))
        seen += table.shape[0]
        return cast(torch.Tensor, network.output(network.norm(new[:, -1])).float())

    return two_branches(network, labels, keys, schedule, prefix, read)


def no_cache(
    network: Llama, labels: torch.Tensor, keys: SampleKeys, schedule: Schedule, prefix: torch.Tensor
) -> Iterator[torch.Tensor]:
    """Yield (B, 1) tokens; every one costs a forward pass over the whole sequence."""
    return two_branches(
        network, labels, keys, schedule, prefix, lambda labels, codes: network(codes, labels)[:, -1]
    )


def two_branches(
    network: Llama,
    labels: torch.Tensor,
    keys: SampleKeys,
    schedule: Schedule,
    prefix: torch.Tensor,
    read: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> Iterator[torch.Tensor]:
    """Yield (B, 1) tokens of a reader that is given [cond; uncond] labels and all codes so far."""
    scales = schedule.scales(network.num_tokens)
    states = torch.from_numpy(words(keys, "tokens", network.num_tokens).view(np.int64)).to(labels.device)
    both = torch.cat((labels, torch.full_like(labels, network.null_label)))
    codes = prefix
    for token in range(prefix.shape[1], network.num_tokens):
        with torch.inference_mode():
            with_class, without = read(both, codes.repeat(2, 1)).chunk(2)
            chosen = draw(without + float(scales[token]) * (with_class - without), states[:, token])
            codes = torch.cat((codes, chosen[:, None]), dim=1)
        yield codes[:, -1:]


def build(shape: str, device: str, dtype: torch.dtype) -> Llama:
    """Return a network of the shape with random weights."""
    torch.manual_seed(0)
    config = SHAPES[shape]
    network = Llama(config, rotary_table(config.num_tokens + 1, config.head_dim))
    # A trained model is not uniform; the fresh output projection is zero, which would be.
    torch.nn.init.normal_(network.output.weight, std=0.1)
    return network.to(device=device, dtype=dtype).eval()


def measure(
    sampler: Sampler,
    network: Llama,
    labels: torch.Tensor,
    keys: SampleKeys,
    schedule: Schedule,
    prefix: torch.Tensor,
    tokens: int,
) -> tuple[float, torch.Tensor]:
    """Return tokens per second over the whole batch, and all tokens made (B, tokens + 1)."""
    stream = sampler(network, labels, keys, schedule, prefix)
    made = [next(stream)]
    synchronize(labels.device)
    start = time.perf_counter()
    made.extend(itertools.islice(stream, tokens))
    synchronize(labels.device)
    elapsed = time.perf_counter() - start
    return tokens * len(labels) / elapsed, torch.cat(made, dim=1)


def compare(
    shape: str,
    batch: int,
    variants: dict[str, tuple[Sampler, Llama]],
    schedule: Schedule,
    tokens: int,
    prefix_length: int,
    repeats: int,
) -> dict[str, Any]:
    """Measure all variants in turns and return medians and ratios."""
    config = SHAPES[shape]
    device = next(iter(variants.values()))[1].output.weight.device
    keys = SampleKeys(seed=0, indices=tuple(range(batch)))
    labels = torch.arange(batch, device=device) % config.num_classes
    prefix = torch.arange(batch * prefix_length, device=device).reshape(batch, -1) % config.codebook_size
    rates: dict[str, list[float]] = {name: [] for name in variants}
    made: dict[str, torch.Tensor] = {}
    for _ in range(repeats):
        for name, (sampler, network) in variants.items():
            rate, made[name] = measure(sampler, network, labels, keys, schedule, prefix, tokens)
            rates[name].append(rate)
    reference = made["engine"]
    for name, codes in made.items():
        if network.output.weight.dtype == torch.float32 and not torch.equal(codes, reference):
            raise SystemExit(f"{name} made other tokens than the engine; the comparison is void.")
    medians = {name: statistics.median(values) for name, values in rates.items()}
    return {
        "shape": shape,
        "batch": batch,
        "tokens_per_second": medians,
        "engine_speedup": {
            name: medians["engine"] / value for name, value in medians.items() if name != "engine"
        },
    }


@click.command(help=__doc__)
@click.option("--shape", "shapes", type=click.Choice(list(SHAPES)), multiple=True, default=("tiny",))
@click.option("--batch", "batches", type=click.IntRange(min=1), multiple=True, default=(1, 16))
@click.option("--tokens", type=click.IntRange(min=1), default=16, help="Timed tokens per measurement.")
@click.option("--prefix", type=click.IntRange(min=0), default=24, help="Tokens that are there already.")
@click.option("--repeats", type=click.IntRange(min=1), default=3)
@click.option("--cfg", default="linear:1.1-8.0", help="Guidance schedule.")
@click.option("--device", default="cpu")
@click.option("--dtype", type=click.Choice(["float32", "bfloat16"]), default="float32")
@click.option("--compile", "compiled", is_flag=True, help="Add the engine with torch.compile.")
@click.option("--skip", type=click.Choice(["concat-cache", "no-cache"]), multiple=True)
@click.option("--json", "as_json", is_flag=True)
def main(
    shapes: tuple[str, ...],
    batches: tuple[int, ...],
    tokens: int,
    prefix: int,
    repeats: int,
    cfg: str,
    device: str,
    dtype: str,
    compiled: bool,
    skip: tuple[str, ...],
    as_json: bool,
) -> None:
    """Run the comparison and print it."""
    schedule = parse_schedule(cfg)
    if not as_json:
        show_machine(device)
    rows = []
    for shape in shapes:
        room = SHAPES[shape].num_tokens - prefix - 1
        if tokens > room:
            raise click.UsageError(f"{shape} has room for {room} timed tokens after a prefix of {prefix}.")
        network = build(shape, device, getattr(torch, dtype))
        variants: dict[str, tuple[Sampler, Llama]] = {"engine": (engine, network)}
        if compiled:
            fast = build(shape, device, getattr(torch, dtype))
            fast.compile_step()
            variants["engine-compiled"] = (engine, fast)
        baselines: dict[str, Sampler] = {"concat-cache": concat_cache, "no-cache": no_cache}
        variants |= {name: (run, network) for name, run in baselines.items() if name not in skip}
        for batch in batches:
            rows.append(compare(shape, batch, variants, schedule, tokens, prefix, repeats))
            if not as_json:
                show(rows[-1])
    if as_json:
        settings = {"cfg": cfg, "tokens": tokens, "prefix": prefix, "repeats": repeats, "dtype": dtype}
        json.dump({"machine": machine(device), "settings": settings, "results": rows}, sys.stdout, indent=2)
        print()


def show(row: dict[str, Any]) -> None:
    """Print one comparison as plain lines."""
    print(f"{row['shape']}, batch {row['batch']}")
    for name, rate in row["tokens_per_second"].items():
        speedup = row["engine_speedup"].get(name)
        note = f"   engine is {speedup:.2f}x as fast" if speedup else ""
        print(f"  {name:<16}{rate:>10.1f} tokens/s{note}")


if __name__ == "__main__":
    main()
