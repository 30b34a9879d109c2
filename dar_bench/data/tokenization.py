"""Encoding a data set once: images through crops and a tokenizer into a cache of codes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from dar_bench.api import Tokenizer
from dar_bench.data.base import ImageSource
from dar_bench.data.code_writer import CodeWriter
from dar_bench.data.codes import CacheKey, CodeCache, utilisation
from dar_bench.data.transforms import TEN_CROPS, Pixels, center_crop, flip, ten_crop, to_chw
from dar_bench.data.workers import leave_signals_to_parent
from dar_bench.errors import UserError, unknown_name

TEN_CROP_RESIZE = 1.1
"""Side of the square that the ten crops are cut from, in image sizes (D-AR, LlamaGen)."""

TIGHT_RESIZE = 1.05
"""The same for the second ten of LlamaGen, whose training draws evenly from both."""


@dataclass(frozen=True)
class CropRecipe:
    """Which squares of an image are encoded.

    Attributes:
        key: the recipe with its parameters, as it enters the cache's key.
        count: squares of every image.
        cut: ``(image, size) -> uint8 (count, size, size, 3)``.
    """

    key: str
    count: int
    cut: Callable[[Image.Image, int], Pixels]


def _center(image: Image.Image, size: int) -> Pixels:
    return center_crop(image, size)[None]


def _center_and_mirrored(image: Image.Image, size: int) -> Pixels:
    square = center_crop(image, size)
    return np.stack([square, flip(square)])


def _ten(image: Image.Image, size: int) -> Pixels:
    return ten_crop(image, size, TEN_CROP_RESIZE)


def _twenty(image: Image.Image, size: int) -> Pixels:
    return np.concatenate([ten_crop(image, size, resize) for resize in (TEN_CROP_RESIZE, TIGHT_RESIZE)])


RECIPES = {
    "center": CropRecipe("center", 1, _center),
    "flip": CropRecipe("flip", 2, _center_and_mirrored),
    "ten": CropRecipe(f"ten:{TEN_CROP_RESIZE}", TEN_CROPS, _ten),
    "twenty": CropRecipe(f"ten:{TEN_CROP_RESIZE}+{TIGHT_RESIZE}", 2 * TEN_CROPS, _twenty),
}
"""``center``: the centre crop; ``flip``: it and its mirror image; ``ten``: the ten crops of AR training; ``twenty``:
ten more from a tighter square."""


@dataclass(frozen=True)
class CodeReport:
    """How a cache uses the codebook.

    Attributes:
        images, crops, tokens: the cache's extent.
        used: share of the codebook's entries that occur, 0 to 1.
        entropy: of the distribution of all codes, in bits.
        entropy_limit: the entropy of an evenly used codebook.
    """

    images: int
    crops: int
    tokens: int
    used: float
    entropy: float
    entropy_limit: float


def crop_recipe(name: str) -> CropRecipe:
    """Return the recipe called ``name``; a ``UserError`` lists the known ones."""
    if name not in RECIPES:
        raise unknown_name("crop recipe", name, RECIPES)
    return RECIPES[name]


def cache_key(tokenizer: Tokenizer, weights_sha256: str, source: ImageSource, crops: str) -> CacheKey:
    """Return what the codes of ``source`` depend on.

    Args:
        weights_sha256: hash of the file that the tokenizer was loaded from.
        crops: name of a recipe in ``RECIPES``.
    """
    card = tokenizer.card
    return CacheKey(
        tokenizer=weights_sha256,
        data=source.fingerprint(),
        image_size=card.image_size,
        crops=crop_recipe(crops).key,
        tokens=card.tokens,
        codebook_size=card.codebook_size,
    )


def tokenize(
    tokenizer: Tokenizer,
    source: ImageSource,
    folder: str | Path,
    *,
    weights_sha256: str,
    crops: str = "center",
    batch_size: int = 32,
    limit: int | None = None,
    workers: int = 0,
    overwrite: bool = False,
    on_images: Callable[[int], None] | None = None,
) -> CodeCache:
    """Encode ``source`` into the cache in ``folder``; go on where an earlier call stopped.

    Args:
        weights_sha256: hash of the file that the tokenizer was loaded from.
        crops: name of a recipe in ``RECIPES``.
        batch_size: squares that are encoded at once.
        limit: encode only the first so many images; a later call without it adds the rest.
        workers: processes that read and crop images; 0 does it in this one.
        overwrite: drop codes that are there already.
        on_images: called with the number of images that were added, starting with those found in the cache.

    Raises:
        UserError: the cache belongs to other input, an image cannot be read, the disk is full.
    """
    recipe = crop_recipe(crops)
    key = cache_key(tokenizer, weights_sha256, source, crops)
    expected = len(source) if limit is None else min(limit, len(source))
    report = on_images or (lambda count: None)
    with CodeWriter(
        folder,
        key,
        crops=recipe.count,
        expected=expected,
        class_names=source.class_names,
        overwrite=overwrite,
    ) as writer:
        report(min(len(writer), expected))
        images = max(1, batch_size // recipe.count)
        squares = _Squares(source, recipe, key.image_size, start=len(writer), end=expected)
        for batch in _batches(squares, images, workers):
            start = len(writer)
            codes = _encode(tokenizer, batch.reshape(-1, *batch.shape[2:]), batch_size)
            labels = source.labels()[start : start + len(batch)]
            writer.append(codes.reshape(len(batch), recipe.count, -1), labels)
            report(len(batch))
    return CodeCache.open(folder, key, verify=False)


def describe(cache: CodeCache) -> CodeReport:
    """Return the extent of a cache and its use of the codebook."""
    used, entropy = utilisation(cache.usage())
    return CodeReport(
        images=len(cache),
        crops=cache.crops,
        tokens=cache.key.tokens,
        used=used,
        entropy=entropy,
        entropy_limit=float(np.log2(cache.key.codebook_size)),
    )


class _Squares(torch.utils.data.Dataset["Pixels | UserError"]):
    """The crops of images ``start`` to ``end`` of a source, uint8 (crops, 3, size, size).

    An image that cannot be read is an item, not an exception: a DataLoader would rebuild the exception from
    the text of its traceback.
    """

    def __init__(self, source: ImageSource, recipe: CropRecipe, size: int, start: int, end: int):
        self._source = source
        self._recipe = recipe.key
        self._size = size
        self._start = start
        self._end = end

    def __len__(self) -> int:
        return max(0, self._end - self._start)

    def __getitem__(self, index: int) -> Pixels | UserError:
        recipe = next(recipe for recipe in RECIPES.values() if recipe.key == self._recipe)
        try:
            return to_chw(recipe.cut(self._source[self._start + index].image, self._size))
        except UserError as error:
            return error


def _batches(squares: _Squares, images: int, workers: int) -> Iterator[Pixels]:
    """Yield uint8 (n, crops, 3, size, size) in order; raise the error of the first unreadable image."""
    loader = torch.utils.data.DataLoader(
        squares,
        batch_size=images,
        num_workers=workers,
        collate_fn=list,
        worker_init_fn=leave_signals_to_parent if workers else None,
    )
    for items in loader:
        good: list[Pixels] = []
        for item in items:
            if isinstance(item, UserError):
                # What precedes the bad image is kept, so that the next run starts with it.
                if good:
                    yield np.stack(good)
                raise item
            good.append(item)
        yield np.stack(good)


def _encode(tokenizer: Tokenizer, squares: Pixels, batch_size: int) -> NDArray[np.int64]:
    """Return codes int64 (n, N) of uint8 (n, 3, size, size)."""
    parts = []
    for start in range(0, len(squares), batch_size):
        codes = tokenizer.encode(torch.from_numpy(squares[start : start + batch_size]))
        parts.append(codes.cpu().numpy().astype(np.int64))
    return np.concatenate(parts)
