"""What every image source offers, and how the bytes of one image become RGB pixels."""

from __future__ import annotations

import io
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from dar_bench.errors import UserError
from dar_bench.hashing import sha256_bytes, sha256_file

UNLABELLED = -1
"""The label of an image whose source carries no classes."""

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""File names that count as images; torchvision's ImageFolder accepts the same ones."""

CONTENT_HASH_LIMIT = 256 * 2**20
"""Data of up to this many bytes is fingerprinted by its contents, larger data by its listing."""

FILE_MODE = "file_mode"
"""Key in the ``info`` of a decoded image for the mode of its file (``L``, ``RGBA``)."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Example:
    """One image of a source.

    Attributes:
        image: PIL image of mode RGB, at its original size.
        label: class index, or ``UNLABELLED``.
        key: where it comes from, readable to a person and unique in its source.
    """

    image: Image.Image
    label: int
    key: str


class ImageSource(ABC):
    """A finite, ordered, randomly accessible set of labelled images.

    Sources can be pickled and used in forked or spawned DataLoader workers: file handles are opened by
    every process and thread for itself, on first use. Iterating yields the examples in order.

    Attributes:
        name: what the user called it; for messages only, never a cache key.
        class_names: names by label; empty where the source has no classes or does not name them.
    """

    name: str
    class_names: tuple[str, ...]
    _fingerprint: str | None = None

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def key(self, index: int) -> str:
        """Return the key of the image at ``index`` without reading the image."""

    @abstractmethod
    def labels(self) -> NDArray[np.int64]:
        """Return all labels, int64 (n,), without decoding an image."""

    @abstractmethod
    def _load(self, index: int) -> Image.Image:
        """Read and decode the image at a valid ``index``."""

    @abstractmethod
    def _describe(self) -> str:
        """Return the text that ``fingerprint`` hashes."""

    def __getitem__(self, index: int) -> Example:
        """Return the image at ``index``, which may count from the end.

        Raises:
            IndexError: ``index`` is out of range.
            UserError: the image cannot be read; says which one.
        """
        count = len(self)
        if not -count <= index < count:
            raise IndexError(f"image {index} of {count}")
        index %= count
        return Example(self._load(index), int(self.labels()[index]), self.key(index))

    def __iter__(self) -> Iterator[Example]:
        return (self[index] for index in range(len(self)))

    def fingerprint(self) -> str:
        """Return 64 hex digits that change when the images, their order or their labels change.

        Up to ``CONTENT_HASH_LIMIT`` bytes the contents of all files are hashed, so that copies of a data set
        share a fingerprint. Above, relative names, sizes and modification times stand in for the contents: a
        copy then counts as other data. Computed once for every source object.
        """
        if self._fingerprint is None:
            self._fingerprint = sha256_bytes(self._describe().encode())
        return self._fingerprint


class PerProcess(Generic[T]):
    """A value made on first use in every process and thread, and left behind when pickled.

    ``make`` must be picklable itself. Forked children make their own value, because a file position
    shared with the parent would be moved by both.
    """

    def __init__(self, make: Callable[[], T]):
        self._make = make
        self._local = threading.local()

    def __call__(self) -> T:
        """Return this process's and thread's value."""
        if getattr(self._local, "pid", None) != os.getpid():
            self._local.value = self._make()
            self._local.pid = os.getpid()
        value: T = self._local.value
        return value

    def __getstate__(self) -> dict[str, Any]:
        return {"_make": self._make}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._make = state["_make"]
        self._local = threading.local()


def describe_files(files: Iterable[tuple[str, Path]]) -> str:
    """Return a text that identifies the contents of ``files``, given as (relative name, path) in order.

    See ``ImageSource.fingerprint`` for what is hashed.
    """
    listing = []
    for name, path in files:
        try:
            listing.append((name, path, path.stat()))
        except OSError as error:
            raise UserError(f"Cannot read {path}.", why=error.strerror or str(error)) from error
    if sum(stat.st_size for _, _, stat in listing) <= CONTENT_HASH_LIMIT:
        return "\n".join(f"{name}\t{hash_file(path)}" for name, path, _ in listing)
    return "\n".join(f"{name}\t{stat.st_size}\t{stat.st_mtime_ns}" for name, _, stat in listing)


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's contents as hex digits."""
    try:
        return sha256_file(path)
    except OSError as error:
        raise UserError(f"Cannot read {path}.", why=error.strerror or str(error)) from error


def decode_image(data: bytes, where: str) -> Image.Image:
    """Decode an encoded image into RGB.

    Transparency is composited on white; greyscale, palette and CMYK images are converted. The orientation
    tag of EXIF is not applied, because the ImageNet pipelines whose scores we compare with ignore it.

    Args:
        where: names the image in the error, for instance ``"cats/1.png (image 7 of data/)"``.

    Returns:
        The image, with the file's format in ``format`` and its mode in ``info[FILE_MODE]``.

    Raises:
        UserError: the bytes are no image, or a damaged one.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            decoded = to_rgb(image)
            # What the file was: a check of sample sets wants to know, and the copy has forgotten it.
            decoded.format = image.format
            decoded.info[FILE_MODE] = image.mode
            return decoded
    except UnidentifiedImageError as error:
        why = "The file is empty." if not data else "Its contents are in no known image format."
        raise _unreadable(where, why) from error
    # Pillow's decoders report damaged data with any of these.
    except (OSError, SyntaxError, ValueError, IndexError, EOFError, Image.DecompressionBombError) as error:
        raise _unreadable(where, f"{type(error).__name__}: {error}.") from error


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert a decoded image of any mode to RGB, with transparency composited on white."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image.copy()
    if image.mode == "F":
        raise ValueError("images of floating-point pixels have no defined range")
    if image.mode.startswith("I"):
        # 16-bit greyscale; Pillow would clip the values at 255 instead of scaling them.
        grey = np.asarray(image).astype(np.int64)
        return Image.fromarray(np.clip(grey // 257, 0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")


def _unreadable(where: str, why: str) -> UserError:
    return UserError(f"Cannot read the image {where}.", why=why, hint="Replace or remove it, then run again.")
