"""Images in webdataset shards: tar files of pairs such as ``0001.jpg`` and ``0001.cls``."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dar_bench.data.base import (
    IMAGE_EXTENSIONS,
    UNLABELLED,
    ImageSource,
    PerProcess,
    decode_image,
    describe_files,
)
from dar_bench.errors import UserError

_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"(\xb5/\xfd")
"""How gzip, bzip2, xz and zstandard files start."""


@dataclass
class _Sample:
    """What one shard holds under one key."""

    image: tarfile.TarInfo | None = None
    label: int | None = None


class WebDatasetSource(ImageSource):
    """Tar shards in the given order, each image under the key that its label file shares.

    The headers of all shards are scanned once, when the source is opened; afterwards an image is one read at
    a known offset, so shuffling needs no buffer. Files that are neither images nor ``.cls`` are left out.

    Raises:
        UserError: a shard is compressed or damaged, a key has no image or several, only some have labels.
    """

    class_names: tuple[str, ...] = ()

    def __init__(self, name: str, paths: Sequence[Path]):
        self.name = name
        self._paths = tuple(paths)
        shards: list[int] = []
        offsets: list[tuple[int, int]] = []
        labels: list[int | None] = []
        self._members: list[str] = []
        for number, path in enumerate(paths):
            for key, sample in _read_shard(path).items():
                if sample.image is None:
                    raise UserError(
                        f"{path} has a label but no image for '{key}'.",
                        why=f"Looked for '{key}' with {', '.join(IMAGE_EXTENSIONS)}.",
                    )
                shards.append(number)
                offsets.append((sample.image.offset_data, sample.image.size))
                labels.append(sample.label)
                self._members.append(sample.image.name)
        if not shards:
            raise UserError(
                f"{name} has no images.",
                why=f"Looked for {', '.join(IMAGE_EXTENSIONS)} in {len(paths)} tar file(s).",
            )
        bare = [i for i, label in enumerate(labels) if label is None]
        if bare and len(bare) < len(labels):
            raise UserError(
                f"{len(bare)} of the {len(labels)} images of {name} have no .cls label, "
                f"the first being {self._members[bare[0]]} in {paths[shards[bare[0]]].name}.",
                why="Either every image has a label, or none has.",
            )
        self._shards = np.array(shards, dtype=np.int32)
        self._offsets = np.array(offsets, dtype=np.int64)
        self._labels = np.array([UNLABELLED if x is None else x for x in labels], dtype=np.int64)
        self._files = PerProcess(_Files)

    def __len__(self) -> int:
        return len(self._members)

    def key(self, index: int) -> str:
        """Return the shard's name and the image's name in it."""
        return f"{self._paths[self._shards[index]].name}/{self._members[index]}"

    def labels(self) -> NDArray[np.int64]:
        """Return all labels, int64 (n,)."""
        return self._labels

    def _load(self, index: int) -> Image.Image:
        offset, size = (int(value) for value in self._offsets[index])
        path = self._paths[self._shards[index]]
        return decode_image(
            self._files().read(path, offset, size), f"{self.key(index)} (image {index} of {self.name})"
        )

    def _describe(self) -> str:
        return "webdataset\n" + describe_files((str(i), path) for i, path in enumerate(self._paths))


class _Files:
    """The shards that one process reads, kept open; the system's limit on open files is respected."""

    LIMIT = 128

    def __init__(self) -> None:
        self._open: dict[Path, int] = {}

    def read(self, path: Path, offset: int, size: int) -> bytes:
        if path not in self._open:
            if len(self._open) >= self.LIMIT:
                oldest = next(iter(self._open))
                os.close(self._open.pop(oldest))
            try:
                self._open[path] = os.open(path, os.O_RDONLY)
            except OSError as error:
                raise UserError(f"Cannot read {path}.", why=error.strerror or str(error)) from error
        return os.pread(self._open[path], size, offset)

    def __del__(self) -> None:
        for descriptor in self._open.values():
            os.close(descriptor)


def _read_shard(path: Path) -> dict[str, _Sample]:
    """Scan the headers of one shard; keys in the order of their first file."""
    samples: dict[str, _Sample] = {}
    try:
        with path.open("rb") as file, _open_tar(path) as archive:
            for member in _files(archive):
                folder, _, base = member.name.rpartition("/")
                # As webdataset has it, a sample's key ends at the first dot of the file's name.
                stem = base.partition(".")[0]
                key = f"{folder}/{stem}" if folder else stem
                extension = PurePosixPath(base).suffix.lower()
                if extension == ".cls":
                    text = os.pread(file.fileno(), member.size, member.offset_data)
                    samples.setdefault(key, _Sample()).label = _parse_label(path, member.name, text)
                elif extension in IMAGE_EXTENSIONS:
                    sample = samples.setdefault(key, _Sample())
                    if sample.image is not None:
                        raise UserError(
                            f"{path} has two images for '{key}'.",
                            why=f"They are {sample.image.name} and {member.name}.",
                        )
                    sample.image = member
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UserError(
            f"Cannot read {path} as a tar file.", why=str(error), hint="Download or copy it again."
        ) from error
    return samples


def _open_tar(path: Path) -> tarfile.TarFile:
    with path.open("rb") as file:
        start = file.read(6)
    if start.startswith(_COMPRESSED):
        raise UserError(
            f"{path} is compressed.",
            why="Images are read at their place in the shard, which compression hides.",
            hint=f"Unpack it to a plain .tar first, for instance with 'gunzip {path}'.",
        )
    return tarfile.open(path, "r:")


def _files(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    while True:
        member = archive.next()
        if member is None:
            return
        # The archive would otherwise keep every header of the shard.
        archive.members.clear()  # type: ignore[attr-defined]
        if member.isreg() and not member.name.rpartition("/")[2].startswith("."):
            yield member


def _parse_label(path: Path, member: str, text: bytes) -> int:
    try:
        return int(text)
    except ValueError:
        raise UserError(
            f"The label {member} of {path} is {text[:40]!r}.", why="A .cls file holds one integer."
        ) from None
