"""Images per second of pixel decoding with a preview after every group, against plain ways to get the same.

    python benchmarks/decoding.py
    python benchmarks/decoding.py --full --device cuda --dtype bfloat16 --compile --json

Variants, all with the same random weights, codes and noise:

    streamed          one stream that is fed group after group; the token decoder keeps keys and values
    streamed-compiled the same with torch.compile (only with --compile)
    recomputed        one stream, but the token decoder reads all tokens so far again for every group
    separate          every preview is a decoding of its own, from noise
    at-once           all tokens given at once and no previews: what streaming costs beside it

The two ways of the token decoder are also timed alone. Repeats alternate between the variants, after a round that
is not counted; medians are reported. In float32 the variants must agree on the images.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from typing import Any

import click
import torch
from dar_bench_dar.decode import PixelStream
from dar_bench_dar.model.timing import sampling_schedule
from dar_bench_dar.model.tokenizer import SequentialDiffusionTokenizer
from measuring import in_turns, machine, rates, show_machine, speedup
from shapes import SHAPES, tokenizer_config, tokenizer_recipe
from torch import Tensor, nn

from dar_bench.api import SampleKeys
from dar_bench.data.pixel_range import to_uint8
from dar_bench.devices import PRECISIONS, load_options
from dar_bench.errors import UserError
from dar_bench.sampling.ode import make_solver
from dar_bench.sampling.randomness import normals

Decoder = Callable[[SequentialDiffusionTokenizer, Tensor, Tensor], list[Tensor]]
"""``(model, codes (B, N), noise) -> previews and, last, images``, uint8 (B, 3, H, W) each."""

QUICK = {"tiny": (1, 16), "dar-l/4": (1,)}
FULL = {"tiny": (1, 16), "dar-l": (1, 16)}


def streamed(model: SequentialDiffusionTokenizer, codes: Tensor, noise: Tensor) -> list[Tensor]:
    """Decode in one pass."""
    stream = PixelStream(model, noise)
    images = []
    for group in torch.split(codes, model.config.group_size, dim=1):
        stream.push(group)
        images.append(stream.preview())
    return images


@torch.no_grad()
def recomputed(model: SequentialDiffusionTokenizer, codes: Tensor, noise: Tensor) -> list[Tensor]:
    """Decode in one pass, with no memory in the token decoder."""
    config, x, solver, images = model.config, noise, make_solver("adams2"), []
    for step in sampling_schedule(config, config.groups):
        group = model.conditions(codes[:, : step.last_token])[:, step.first_token :]

        def velocity(x: Tensor, t: float, group: Tensor = group) -> Tensor:
            v: Tensor = model.pixel_decoder(x, torch.full((len(x),), t, device=x.device), group)
            return v.float()

        x = solver.advance(velocity, x, step.time, step.next_time)
        estimate = x if step.next_time == 1.0 else solver.jump(plain=False)
        images.append(to_uint8(estimate / config.data_scale))
    return images


def separate(model: SequentialDiffusionTokenizer, codes: Tensor, noise: Tensor) -> list[Tensor]:
    """Start from noise again for every preview: K (K + 1) / 2 steps of the pixel decoder instead of K."""
    size = model.config.group_size
    return [
        at_once(model, codes[:, :tokens], noise)[0] for tokens in range(size, model.config.tokens + 1, size)
    ]


def at_once(model: SequentialDiffusionTokenizer, codes: Tensor, noise: Tensor) -> list[Tensor]:
    """Decode given tokens, without previews."""
    stream = PixelStream(model, noise)
    stream.push(codes)
    return [stream.images()]


@torch.no_grad()
def conditions_cached(model: SequentialDiffusionTokenizer, codes: Tensor) -> Tensor:
    """Return all condition vectors, each token read once."""
    cache = model.token_decoder.new_cache()
    groups = torch.split(codes, model.config.group_size, dim=1)
    return torch.cat([model.token_decoder.extend(model.quantize.lookup(g), cache) for g in groups], dim=1)


@torch.no_grad()
def conditions_recomputed(model: SequentialDiffusionTokenizer, codes: Tensor) -> Tensor:
    """Return all condition vectors; for every group, all tokens so far are read."""
    size = model.config.group_size
    return torch.cat(
        [model.conditions(codes[:, : start + size])[:, start:] for start in range(0, codes.shape[1], size)],
        dim=1,
    )


def build(shape: str, device: str, dtype: torch.dtype) -> SequentialDiffusionTokenizer:
    """Return a tokenizer of the shape with random weights, in the precisions of the loader."""
    torch.manual_seed(0)
    config = dataclasses.replace(tokenizer_config(tokenizer_recipe(shape)), gate_init=1.0)
    model = SequentialDiffusionTokenizer(config)
    for parameter in model.parameters():
        # A fresh model's velocity is zero, whatever the tokens; all variants would agree on that.
        if parameter.ndim > 1 and not parameter.any():
            nn.init.normal_(parameter, std=0.02)
    for part in (model.token_decoder, model.pixel_decoder):
        part.to(dtype)
    model.reset_tables()
    return model.to(device).eval().requires_grad_(False)


def compare(
    shape: str, batch: int, models: dict[str, SequentialDiffusionTokenizer], repeats: int
) -> list[dict[str, Any]]:
    """Measure decoding, then the token decoder alone, and return medians and ratios.

    Args:
        models: ``streamed`` and, where it is to be measured, ``streamed-compiled``.
    """
    plain = models["streamed"]
    config, device = plain.config, next(plain.parameters()).device
    codes = torch.randint(
        config.codebook_size, (batch, config.tokens), generator=torch.Generator().manual_seed(0)
    ).to(device)
    keys = SampleKeys(seed=0, indices=tuple(range(batch)))
    noise = normals(keys, "noise", (3, config.image_size, config.image_size)).to(device)
    variants = {name: lambda m=model: streamed(m, codes, noise) for name, model in models.items()}
    others: dict[str, Decoder] = {"recomputed": recomputed, "separate": separate, "at-once": at_once}
    variants |= {name: lambda d=decode: d(plain, codes, noise) for name, decode in others.items()}
    seconds, made = in_turns(variants, repeats, device)
    if next(plain.token_decoder.parameters()).dtype == torch.float32:
        check_agreement(made)
    of_images = rates(seconds, batch)

    alone = {
        "cached": lambda: conditions_cached(plain, codes),
        "recomputed": lambda: conditions_recomputed(plain, codes),
    }
    seconds_alone, _ = in_turns(alone, repeats, device)
    of_conditions = rates(seconds_alone, batch)
    row = {"shape": shape, "batch": batch}
    return [
        row
        | {
            "part": "decoding",
            "images_per_second": of_images,
            "speedup": speedup(of_images, "streamed"),
            "seconds": seconds,
        },
        row
        | {
            "part": "token decoder alone",
            "images_per_second": of_conditions,
            "speedup": speedup(of_conditions, "cached"),
            "seconds": seconds_alone,
        },
    ]


def check_agreement(made: dict[str, list[Tensor]]) -> None:
    """Stop unless all variants made the images of ``streamed``, and its previews where they have any."""
    for name, images in made.items():
        for image, expected in zip(images, made["streamed"][-len(images) :], strict=True):
            # Another order of summation may move a value across the border of two levels, not further.
            if (image.int() - expected.int()).abs().max() > 1:
                raise SystemExit(f"{name} made other images than streamed; the comparison is void.")


@click.command(help=__doc__)
@click.option("--quick/--full", "quick", default=True, help="Sizes for two CPU cores, or for a GPU.")
@click.option("--shape", "shapes", type=click.Choice(list(SHAPES)), multiple=True, help="Instead of those.")
@click.option("--batch", "batches", type=click.IntRange(min=1), multiple=True, help="Instead of those.")
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--device", default="auto", show_default=True)
@click.option("--dtype", type=click.Choice(PRECISIONS), default="float32", show_default=True)
@click.option("--compile", "compiled", is_flag=True, help="Add the stream with torch.compile.")
@click.option("--json", "as_json", is_flag=True)
def main(
    quick: bool,
    shapes: tuple[str, ...],
    batches: tuple[int, ...],
    repeats: int,
    device: str,
    dtype: str,
    compiled: bool,
    as_json: bool,
) -> None:
    """Run the comparisons and print them."""
    try:
        device = load_options(device, dtype, compiled).device
    except UserError as error:
        raise click.UsageError(str(error)) from error
    if not as_json:
        show_machine(device)
    planned = QUICK if quick else FULL
    rows = []
    for shape in shapes or planned:
        models = {"streamed": build(shape, device, getattr(torch, dtype))}
        if compiled:
            models["streamed-compiled"] = build(shape, device, getattr(torch, dtype))
            models["streamed-compiled"].pixel_decoder.compile()
        for batch in batches or planned.get(shape, (1,)):
            for row in compare(shape, batch, models, repeats):
                rows.append(row)
                if not as_json:
                    show(row)
    if as_json:
        settings = {"repeats": repeats, "dtype": dtype}
        json.dump({"machine": machine(device), "settings": settings, "results": rows}, sys.stdout, indent=2)
        print()


def show(row: dict[str, Any]) -> None:
    """Print one comparison as plain lines."""
    print(f"{row['shape']}, batch {row['batch']}, {row['part']}")
    reference = next(iter(row["images_per_second"]))
    for name, rate in row["images_per_second"].items():
        ratio = row["speedup"].get(name)
        note = f"   {reference} is {ratio:.2f}x as fast" if ratio else ""
        print(f"  {name:<18}{rate:>10.3f} images/s{note}")


if __name__ == "__main__":
    main()
