"""Images per second of training steps, and what two of their parts cost.

    python benchmarks/training.py
    python benchmarks/training.py --full --json

A step is that of the training loop with a shipped recipe: forward, backward, clipping, AdamW, moving average.
Weights and data are random and lie on the device; loading images is not measured. Variants:

    tokenizer step    shipped             the recipe's objective
                      without-perceptual  the same step, the perceptual term off
    ar step           cached-codes        codes are there already, as after `dar-bench tokenize`
                      re-encoded          the tokenizer's encoder makes them in every step

Frozen networks whose weights must be downloaded (VGG-16, DINOv2) run with random weights: the cost is the same.
Repeats alternate between the variants, after a round that is not counted; medians are reported.
"""

from __future__ import annotations

import dataclasses
import json
import math
import sys
import warnings
from collections.abc import Callable
from typing import Any

import click
import torch
from dar_bench_dar.model.ar import build_ar
from dar_bench_dar.model.tokenizer import SequentialDiffusionTokenizer
from dar_bench_dar.train.losses import DinoTarget, alignment_dim, alignment_target
from dar_bench_dar.train.objective import FrozenNetworks, TokenizerObjective
from dar_bench_dar.train.recipes import TokenizerLosses
from measuring import in_turns, machine, rates, show_machine, speedup
from shapes import SHAPES, generator_recipe, tokenizer_config, tokenizer_recipe
from torch import Tensor, nn

from dar_bench.devices import PRECISIONS
from dar_bench.nn.llama import LlamaConfig
from dar_bench.training.distributed import start
from dar_bench.training.loop import Trainer
from dar_bench.training.next_token import NextToken
from dar_bench.training.perceptual import LpipsVgg, perceptual_distance
from dar_bench.training.recipe import TrainConfig, TrainingRecipe
from dar_bench.training.task import TrainingTask

QUICK = {"tiny": 32, "dar-l/4": 2}
FULL = {"tiny": 32, "dar-l": 32}


class UntrainedLpips(LpipsVgg):
    """LPIPS on a VGG-16 of random weights."""

    def __init__(self, device: torch.device):
        import lpips

        with warnings.catch_warnings():
            # The package calls torchvision in a way that was deprecated since.
            warnings.simplefilter("ignore", UserWarning)
            network = lpips.LPIPS(net="vgg", pnet_rand=True, verbose=False)
        self.network = network.to(device).eval().requires_grad_(False)


class UntrainedDino(DinoTarget):
    """DINOv2's network with random weights."""

    def __init__(self, device: torch.device):
        import timm

        network = timm.create_model("vit_base_patch14_dinov2.lvd142m", pretrained=False, img_size=224)
        self.network = network.to(device).eval().requires_grad_(False)
        self.mean = self.std = torch.full((3, 1, 1), 0.5, device=device)


class FixedBatch:
    """The data set that a trainer asks its length of; the batches are given to its steps directly."""

    def __init__(self, batch: dict[str, Tensor]):
        self.batch = batch

    def __len__(self) -> int:
        return len(next(iter(self.batch.values())))

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Tensor]:
        return {name: values[key[0]] for name, values in self.batch.items()}


class Task(TrainingTask):
    """A module and one batch."""

    def __init__(self, module: nn.Module, batch: dict[str, Tensor]):
        self.module = module
        self.dataset = FixedBatch(batch)


def trainer_of(module: nn.Module, batch: dict[str, Tensor], recipe: TrainingRecipe) -> Trainer:
    """Return a training that has not begun."""
    return Trainer(Task(module, batch), recipe, start(recipe.train), None)


def step(trainer: Trainer, batch: dict[str, Tensor]) -> None:
    """Train on one batch."""
    trainer.one_step(iter([batch]))


def check_loss(trainer: Trainer) -> None:
    """Stop unless the losses of all steps were finite: other numbers may take another time."""
    if not math.isfinite(trainer.window.means()["loss"]):
        raise SystemExit("The loss is not finite; the comparison is void.")


def frozen_networks(losses: TokenizerLosses, device: torch.device) -> FrozenNetworks:
    """Return the networks of a recipe's loss; those that are no part of the installation, untrained."""
    lpips = losses.perceptual == "lpips-vgg"
    dino = losses.alignment == "dinov2-vitb14"
    return FrozenNetworks(
        perceptual=UntrainedLpips(device) if lpips else perceptual_distance(losses, device),
        alignment=UntrainedDino(device) if dino else alignment_target(losses, device),
    )


def tokenizer_step(shape: str, batch: int, changes: tuple[str, ...], repeats: int) -> dict[str, Any]:
    """Measure the tokenizer's step with and without its perceptual term."""
    recipe = tokenizer_recipe(shape, *changes)
    device = start(recipe.train).device
    torch.manual_seed(0)
    size = recipe.model.image_size
    data = {
        "image": torch.randint(256, (batch, 3, size, size), dtype=torch.uint8, device=device),
        "time": torch.rand(batch, device=device),
        "noise": torch.randn(batch, 3, size, size, device=device),
    }
    config = tokenizer_config(recipe, alignment_dim(recipe.loss))
    objective = TokenizerObjective(SequentialDiffusionTokenizer(config), recipe.loss)
    frozen = objective.frozen = frozen_networks(recipe.loss, device)
    perceptual = frozen.perceptual
    trainer = trainer_of(objective, data, recipe)

    def shipped() -> None:
        frozen.perceptual = perceptual
        step(trainer, data)

    def without() -> None:
        frozen.perceptual = None
        step(trainer, data)

    seconds, _ = in_turns({"shipped": shipped, "without-perceptual": without}, repeats, device)
    check_loss(trainer)
    rate = rates(seconds, batch)
    return {
        "part": "tokenizer step",
        "images_per_second": rate,
        "perceptual_share": 1 - rate["shipped"] / rate["without-perceptual"],
        "perceptual_ms_per_image": 1000 * (1 / rate["shipped"] - 1 / rate["without-perceptual"]),
        "seconds": seconds,
    }


def ar_step(shape: str, batch: int, changes: tuple[str, ...], repeats: int) -> dict[str, Any]:
    """Measure the autoregressive model's step on cached codes and on codes made in every step."""
    recipe = generator_recipe(shape, *changes)
    device = start(recipe.train).device
    torch.manual_seed(0)
    # Encoding needs no decoder.
    sizes = dataclasses.replace(
        tokenizer_config(tokenizer_recipe(shape)), token_decoder_depth=1, decoder_depth=1
    )
    tokenizer = SequentialDiffusionTokenizer(sizes).to(device).eval().requires_grad_(False)
    image = torch.rand(batch, 3, sizes.image_size, sizes.image_size, device=device) * 2 - 1
    label = torch.randint(recipe.model.num_classes, (batch,), device=device)
    cached = {"codes": tokenizer.encode(image), "label": label}
    config = LlamaConfig(
        layers=recipe.model.depth,
        heads=recipe.model.heads,
        dim=recipe.model.width,
        codebook_size=sizes.codebook_size,
        num_tokens=sizes.tokens,
        num_classes=recipe.model.num_classes,
        dropout=recipe.model.dropout,
    )
    trainer = trainer_of(NextToken(build_ar(config)), cached, recipe)
    variants: dict[str, Callable[[], None]] = {
        "cached-codes": lambda: step(trainer, cached),
        "re-encoded": lambda: step(trainer, {"codes": tokenizer.encode(image), "label": label}),
    }
    seconds, _ = in_turns(variants, repeats, device)
    check_loss(trainer)
    rate = rates(seconds, batch)
    return {
        "part": "ar step",
        "images_per_second": rate,
        "speedup": speedup(rate, "cached-codes"),
        "seconds": seconds,
    }


PARTS = {"tokenizer": tokenizer_step, "ar": ar_step}


@click.command(help=__doc__)
@click.option("--quick/--full", "quick", default=True, help="Sizes for two CPU cores, or for a GPU.")
@click.option("--part", "parts", type=click.Choice(list(PARTS)), multiple=True, default=tuple(PARTS))
@click.option("--shape", "shapes", type=click.Choice(list(SHAPES)), multiple=True, help="Instead of those.")
# One image alone has no neighbours that the tiny recipe's uniformity term could keep it from.
@click.option("--batch", type=click.IntRange(min=2), help="Images per step, instead of those.")
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--device", type=click.Choice(["auto", "cpu"]), default="auto", show_default=True)
@click.option(
    "--dtype",
    "dtypes",
    type=click.Choice(PRECISIONS),
    multiple=True,
    help="[default: float32; with --full on a GPU, both]",
)
@click.option(
    "--compile", "compiled", is_flag=True, help="Compile the step's forward, as train.compile does."
)
@click.option("--json", "as_json", is_flag=True)
def main(
    quick: bool,
    parts: tuple[str, ...],
    shapes: tuple[str, ...],
    batch: int | None,
    repeats: int,
    device: str,
    dtypes: tuple[str, ...],
    compiled: bool,
    as_json: bool,
) -> None:
    """Run the comparisons and print them."""
    used = start(TrainConfig(device="cpu" if device == "cpu" else "auto")).device
    if not as_json:
        show_machine(str(used))
    planned = QUICK if quick else FULL
    rows = []
    for shape in shapes or planned:
        for dtype in dtypes or (PRECISIONS if not quick and used.type != "cpu" else ("float32",)):
            size = batch or planned.get(shape, 2)
            changes = (
                f"train.batch_size={size}",
                "train.micro_batch=0",
                f"train.precision={dtype}",
                f"train.device={device}",
                f"train.compile={str(compiled).lower()}",
            )
            for part in parts:
                row = {"shape": shape, "batch": size, "dtype": dtype}
                rows.append(row | PARTS[part](shape, size, changes, repeats))
                if not as_json:
                    show(rows[-1])
    if as_json:
        settings = {"repeats": repeats, "compile": compiled}
        result = {"machine": machine(str(used)), "settings": settings, "results": rows}
        json.dump(result, sys.stdout, indent=2)
        print()


def show(row: dict[str, Any]) -> None:
    """Print one comparison as plain lines."""
    print(f"{row['shape']}, batch {row['batch']}, {row['dtype']}, {row['part']}")
    for name, rate in row["images_per_second"].items():
        ratio = row.get("speedup", {}).get(name)
        note = f"   cached-codes is {ratio:.2f}x as fast" if ratio else ""
        print(f"  {name:<20}{rate:>10.3f} images/s{note}")
    if "perceptual_share" in row:
        share, cost = row["perceptual_share"], row["perceptual_ms_per_image"]
        print(f"  the perceptual term takes {share:.0%} of the step, {cost:.1f} ms per image")


if __name__ == "__main__":
    main()
