"""The generator itself; imported only when it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import torch
from safetensors.torch import load_file

from dar_bench.api import GeneratedBatch, GeneratorCard, LoadOptions, Options, SampleKeys


class Colours:
    """Draws a plain image in the colour of its class; sample i's noise depends on (seed, i) alone."""

    def __init__(self, card: GeneratorCard, table: torch.Tensor):
        self.card = card
        self.table = table

    def generate(
        self,
        labels: torch.Tensor,
        keys: SampleKeys,
        options: Options,
        *,
        previews: bool = False,
        prefix: torch.Tensor | None = None,
    ) -> Iterator[GeneratedBatch]:
        """Yield the final images, uint8 (B, 3, 8, 8)."""
        size = self.card.image_size
        images = []
        for label, index in zip(labels.tolist(), keys.indices, strict=True):
            random = torch.Generator().manual_seed(keys.seed * 1_000_003 + index)
            noise = torch.randint(0, options["noise"] + 1, (3, size, size), generator=random)
            images.append((self.table[label][:, None, None] + noise).clamp(0, 255).to(torch.uint8))
        yield GeneratedBatch(indices=keys.indices, labels=labels, images=torch.stack(images))


def load(card: GeneratorCard, weights: Path, options: LoadOptions) -> Colours:
    """Build the generator from its colour table."""
    return Colours(card, load_file(weights)["table"])


def layout(card: GeneratorCard) -> Mapping[str, tuple[int, ...]]:
    """One colour per class."""
    return {"table": (card.num_classes, 3)}


@click.command(epilog="\b\nExample:\n  dar-bench train colours")
def train() -> None:
    """Average the images of a class."""
    click.echo("trained colours")
