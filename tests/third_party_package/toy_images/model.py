"""The generator itself; imported only when it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import torch
from safetensors.torch import load_file, save_file

from dar_bench.api import GeneratedBatch, GeneratorCard, LoadOptions, Options, SampleKeys
from dar_bench.checkpoints import check_layout
from dar_bench.data.opening import open_source
from dar_bench.errors import UserError
from dar_bench.files import atomic_path


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
        wrong = [label for label in labels.tolist() if not 0 <= label < self.card.num_classes]
        if wrong:
            raise UserError(f"Label {wrong[0]} is out of range.", hint="Give labels from 0 to 3.")
        images = []
        for label, index in zip(labels.tolist(), keys.indices, strict=True):
            random = torch.Generator().manual_seed(keys.seed * 1_000_003 + index)
            noise = torch.randint(0, options["noise"] + 1, (3, size, size), generator=random)
            images.append((self.table[label][:, None, None] + noise).clamp(0, 255).to(torch.uint8))
        yield GeneratedBatch(indices=keys.indices, labels=labels, images=torch.stack(images))


def load(card: GeneratorCard, weights: Path, options: LoadOptions) -> Colours:
    """Build the generator from its colour table."""
    state = load_file(weights)
    check_layout(card.name, state, layout(card))
    return Colours(card, state["table"])


def layout(card: GeneratorCard) -> Mapping[str, tuple[int, ...]]:
    """One colour per class."""
    return {"table": (card.num_classes, 3)}


def count_parameters(card: GeneratorCard) -> int:
    """Three numbers per class."""
    return 3 * card.num_classes


@click.command(epilog="\b\nExample:\n  dar-bench train colours --data images --out run")
@click.option("--data", required=True, help="Labelled images.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
def train(data: str, out: Path) -> None:
    """Average the images of a class."""
    table = torch.zeros(4, 3)
    for example in open_source(data):
        colour = torch.tensor(example.image.convert("RGB").resize((1, 1)).getpixel((0, 0)))
        table[example.label] = (table[example.label] + colour) / 2
    out.mkdir(parents=True, exist_ok=True)
    with atomic_path(out / "colours.safetensors") as path:
        save_file({"table": table}, path)
    click.echo("trained colours")
