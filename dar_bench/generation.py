"""Generation runs: any number of samples as a stream of batches.

Sample i depends on (seed, i), its label and the options alone, so a run may be cut into batches anywhere,
begin anywhere, and be made again in part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from dar_bench.api import GeneratedBatch, Options, SampleKeys
from dar_bench.errors import UserError

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from dar_bench.api import Generator
    from dar_bench.loading import LoadedGenerator

BATCH_SIZE = 32
"""Samples at a time, unless the user says otherwise."""


@dataclass(frozen=True, kw_only=True)
class GenerationRun:
    """What to generate.

    Attributes:
        labels: class of every sample; entry k is sample ``first + k`` of the run.
        seed: the run's seed.
        options: the model's, complete (``dar_bench.options.parse_options``).
        first: index of the first sample.
        batch_size: samples at a time; changes the memory and the time, not the images.
        previews: also yield estimates on the way: after every group of tokens, or some steps of diffusion.
        prefix: int64 (n,) first codes, the same for every sample (layout control).
    """

    labels: Sequence[int]
    seed: int
    options: Options
    first: int = 0
    batch_size: int = BATCH_SIZE
    previews: bool = False
    prefix: torch.Tensor | None = field(default=None)


def generate(generator: Generator, run: GenerationRun) -> Iterator[GeneratedBatch]:
    """Yield the run's batches, images on the CPU: previews of a batch first, then its final images.

    Raises:
        UserError: an option or label that the model refuses.
    """
    import torch

    for start in range(0, len(run.labels), run.batch_size):
        labels = torch.tensor(run.labels[start : start + run.batch_size], dtype=torch.int64)
        indices = tuple(range(run.first + start, run.first + start + len(labels)))
        prefix = None if run.prefix is None else run.prefix.expand(len(labels), -1)
        keys = SampleKeys(seed=run.seed, indices=indices)
        for batch in generator.generate(labels, keys, run.options, previews=run.previews, prefix=prefix):
            # Bringing the images to the CPU also waits for the device, so that clocks around this are true.
            yield replace(batch, images=batch.images.cpu())


def only_final(batches: Iterator[GeneratedBatch], on_images: Callable[[int], Any]) -> Iterator[torch.Tensor]:
    """Yield the finished images, uint8 (B, 3, H, W), and report how many came."""
    for batch in batches:
        if batch.final:
            yield batch.images
            on_images(len(batch.indices))


def prefix_codes(
    generator: LoadedGenerator, image: Image.Image, count: int, options: Options
) -> torch.Tensor:
    """Return the first codes of an image, to be given and fixed in generation (paper, section 5.2).

    Args:
        generator: the model that will go on from them.
        image: any size; ADM's centre crop is taken.
        count: how many codes.
        options: of the run; with fewer ``tokens`` than ``count`` nothing would be left of the prefix.

    Returns:
        int64 (count,).

    Raises:
        UserError: the model has no codes, or not so many.
    """
    import torch

    from dar_bench.data.transforms import center_crop, to_chw

    tokenizer = generator.tokenizer
    if tokenizer is None:
        raise UserError(
            f"'{generator.card.name}' has no codes, so an image cannot be its prefix.",
            hint="Leave --prefix-image away, or choose a model with a tokenizer.",
        )
    tokens = int(options.get("tokens", tokenizer.card.tokens))
    if not 1 <= count <= tokens:
        raise UserError(
            f"A prefix of {count} tokens is out of range.",
            why=f"'{generator.card.name}' makes {tokens} tokens per image here.",
            hint=f"Give --prefix-tokens from 1 to {tokens}.",
        )
    pixels = torch.from_numpy(to_chw(center_crop(image, tokenizer.card.image_size)))
    return tokenizer.model.encode(pixels[None])[0, :count].cpu()
