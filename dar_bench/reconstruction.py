"""Reconstructions: images through a tokenizer or an autoencoder and back, as a stream of batches."""

from __future__ import annotations

import bisect
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dar_bench.api import AutoencoderCard, Options, SampleKeys
from dar_bench.data import UNLABELLED, ImageSource, open_source
from dar_bench.data.base import IMAGE_EXTENSIONS, decode_image, describe_files
from dar_bench.data.transforms import Pixels, center_crop, to_chw
from dar_bench.errors import UserError

if TYPE_CHECKING:
    import torch

    from dar_bench.api import Autoencoder, Tokenizer

BATCH_SIZE = 32
"""Images at a time, unless the user says otherwise."""

LATENTS = "mean"
"""Which of the latents that fit an image an autoencoder decodes; records say it."""


@dataclass(frozen=True, kw_only=True)
class ReconstructedBatch:
    """One batch of a reconstruction run.

    Attributes:
        indices: indices of the images in their source.
        keys: where the images come from.
        originals: uint8 (B, 3, H, W), the centre crops that were encoded.
        codes: int64 (B, N); ``None`` of an autoencoder, which has none.
        images: uint8 (B, 3, H, W), decoded.
        seconds: spent encoding and decoding, without reading the images.
    """

    indices: tuple[int, ...]
    keys: tuple[str, ...]
    originals: torch.Tensor
    codes: torch.Tensor | None
    images: torch.Tensor
    seconds: float


@dataclass(frozen=True, kw_only=True)
class ReconstructionRun:
    """Which images go through a tokenizer, and how.

    Attributes:
        source: the images; each is brought to the tokenizer's size by ADM's centre crop.
        seed: of the decoding noise.
        options: the tokenizer's, complete.
        batch_size: images at a time.
        first, limit: only the images from ``first`` to before ``limit``.
    """

    source: ImageSource
    seed: int
    options: Options
    batch_size: int = BATCH_SIZE
    first: int = 0
    limit: int | None = None

    @property
    def count(self) -> int:
        """How many images the source has before ``limit``."""
        return len(self.source) if self.limit is None else min(self.limit, len(self.source))


def round_trip(
    codec: Tokenizer | Autoencoder, images: torch.Tensor, keys: SampleKeys, options: Options
) -> tuple[torch.Tensor | None, torch.Tensor]:
    """Return the codes of images, uint8 (B, 3, H, W), and what is decoded from them, of the same shape.

    An autoencoder has no codes: it decodes the mean of the latents (``LATENTS``), so nothing is random in it.
    """
    if isinstance(codec.card, AutoencoderCard):
        return None, codec.decode(codec.moments(images)[0])
    codes = codec.encode(images)
    return codes, codec.decode(codes, keys, options)


def reconstruct(tokenizer: Tokenizer | Autoencoder, run: ReconstructionRun) -> Iterator[ReconstructedBatch]:
    """Yield reconstructions of a source's images in order; the noise of image i comes from (seed, i) alone.

    Args:
        tokenizer: encodes and decodes. run: which images, and how.

    Raises:
        UserError: an image cannot be read; what was yielded before stands.
    """
    size = tokenizer.card.image_size
    for indices, originals in square_batches(run.source, size, run.batch_size, run.limit, first=run.first):
        started = time.perf_counter()
        keys = SampleKeys(seed=run.seed, indices=indices)
        codes, images = round_trip(tokenizer, originals, keys, run.options)
        images = images.cpu()
        seconds = time.perf_counter() - started
        yield ReconstructedBatch(
            indices=indices,
            keys=tuple(run.source.key(index) for index in indices),
            originals=originals,
            codes=None if codes is None else codes.cpu(),
            images=images,
            seconds=seconds,
        )


def square_batches(
    source: ImageSource, size: int, batch_size: int, limit: int | None = None, *, first: int = 0
) -> Iterator[tuple[tuple[int, ...], torch.Tensor]]:
    """Yield indices and centre crops, uint8 (B, 3, size, size), of a source's images in order.

    Args:
        source: the images. size: side in pixels. batch_size: images at a time.
        limit: only the first so many images. first: leave out those before.
    """
    import torch

    count = len(source) if limit is None else min(limit, len(source))
    for start in range(first, count, batch_size):
        indices = tuple(range(start, min(start + batch_size, count)))
        squares = np.stack([to_chw(center_crop(source[index].image, size)) for index in indices])
        yield indices, torch.from_numpy(squares)


def open_inputs(names: Sequence[str]) -> ImageSource:
    """Open what the user named: image files, or anything that ``open_source`` reads, one or several.

    Raises:
        UserError: something does not exist, is empty, or cannot be read.
    """
    parts: list[ImageSource] = []
    files: list[Path] = []
    for name in names:
        path = Path(name).expanduser()
        if path.suffix.lower() in IMAGE_EXTENSIONS and not path.is_dir():
            if not path.is_file():
                raise UserError(f"There is no image '{name}'.", hint="Check the path.")
            files.append(path)
            continue
        if files:
            parts.append(ImageFiles(files))
            files = []
        parts.append(open_source(name))
    if files:
        parts.append(ImageFiles(files))
    return parts[0] if len(parts) == 1 else JoinedSource(parts)


class ImageFiles(ImageSource):
    """Single image files, in the order in which they were named."""

    class_names: tuple[str, ...] = ()

    def __init__(self, paths: Sequence[Path]):
        self._paths = tuple(paths)
        self.name = str(paths[0]) if len(paths) == 1 else f"{len(paths)} images"

    def __len__(self) -> int:
        return len(self._paths)

    def key(self, index: int) -> str:
        """Return the file's path as the user wrote it."""
        return str(self._paths[index])

    def labels(self) -> NDArray[np.int64]:
        """Return ``UNLABELLED`` for every image."""
        return np.full(len(self), UNLABELLED, dtype=np.int64)

    def _load(self, index: int) -> Image.Image:
        path = self._paths[index]
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UserError(f"Cannot read {path}.", why=error.strerror or str(error)) from error
        return decode_image(data, str(path))

    def _describe(self) -> str:
        return "files\n" + describe_files([(path.name, path) for path in self._paths])


class JoinedSource(ImageSource):
    """Several sources one after the other; class names are left out, for they may not agree."""

    class_names: tuple[str, ...] = ()

    def __init__(self, parts: Sequence[ImageSource]):
        self._parts = tuple(parts)
        self._ends = np.cumsum([len(part) for part in parts]).tolist()
        self.name = ", ".join(part.name for part in parts)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def key(self, index: int) -> str:
        """Return the image's key with the name of its source."""
        part, inner = self._locate(index)
        return part.key(inner) if isinstance(part, ImageFiles) else f"{part.name}/{part.key(inner)}"

    def labels(self) -> NDArray[np.int64]:
        """Return ``UNLABELLED`` for every image: classes of different sources are not the same."""
        return np.full(len(self), UNLABELLED, dtype=np.int64)

    def _load(self, index: int) -> Image.Image:
        part, inner = self._locate(index)
        return part[inner].image

    def _describe(self) -> str:
        return "joined\n" + "\n".join(part.fingerprint() for part in self._parts)

    def _locate(self, index: int) -> tuple[ImageSource, int]:
        number = bisect.bisect_right(self._ends, index)
        return self._parts[number], index - (self._ends[number - 1] if number else 0)


def to_pixels(image: torch.Tensor) -> Pixels:
    """Return an image tensor, uint8 (3, H, W), as an array (H, W, 3)."""
    pixels: Pixels = image.permute(1, 2, 0).contiguous().numpy()
    return pixels
