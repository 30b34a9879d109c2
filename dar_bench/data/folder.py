"""Folders of images, with classes as sub-folders or flat."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dar_bench.data.base import IMAGE_EXTENSIONS, UNLABELLED, ImageSource, decode_image, describe_files
from dar_bench.errors import UserError


@dataclass(frozen=True)
class Layout:
    """Which images a folder or archive holds, in order.

    Attributes:
        names: paths relative to the root, with forward slashes.
        labels: int64 (n,).
        class_names: the sub-folders in alphabetical order; empty for a flat folder.
    """

    names: tuple[str, ...]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]


class FolderSource(ImageSource):
    """Images in a folder.

    With sub-folders, each is a class, and classes and images come in the order of torchvision's
    ``ImageFolder``. Without, the images are unlabelled and sorted by name. Hidden files are left out, links
    are followed.
    """

    def __init__(self, name: str, root: Path):
        self.name = name
        self._root = root
        self._layout = arrange(str(root), *_scan(root))
        self.class_names = self._layout.class_names

    def __len__(self) -> int:
        return len(self._layout.names)

    def key(self, index: int) -> str:
        """Return the image's path inside the folder."""
        return self._layout.names[index]

    def labels(self) -> NDArray[np.int64]:
        """Return all labels, int64 (n,)."""
        return self._layout.labels

    def _load(self, index: int) -> Image.Image:
        path = self._root / self._layout.names[index]
        where = f"{path} (image {index} of {self.name})"
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UserError(f"Cannot read the image {where}.", why=error.strerror or str(error)) from error
        return decode_image(data, where)

    def _describe(self) -> str:
        return describe_files((name, self._root / name) for name in self._layout.names)


def arrange(where: str, names: Iterable[str], folders: Iterable[str]) -> Layout:
    """Sort images into classes by their relative paths.

    Args:
        where: the folder or archive, for messages.
        names: relative paths of all files; those that are no images are left out.
        folders: names of the top-level folders, each of which must hold images.

    Raises:
        UserError: there are no images, a class without images, or images both with and without a class.
    """
    paths = [PurePosixPath(name) for name in names]
    images = [path for path in paths if path.suffix.lower() in IMAGE_EXTENSIONS]
    if not images:
        raise _nothing_found(where, paths)
    flat = [path for path in images if len(path.parts) == 1]
    if flat and len(flat) < len(images):
        raise UserError(
            f"{where} holds {len(flat)} image(s) beside class folders with {len(images) - len(flat)}.",
            why="Either every image is in a class folder, or none is.",
            hint=f"Move {flat[0]} and the like into a class folder.",
        )
    if flat:
        ordered = sorted(path.name for path in flat)
        return Layout(tuple(ordered), np.full(len(ordered), UNLABELLED, dtype=np.int64), ())
    classes = sorted({path.parts[0] for path in images})
    empty = sorted(set(folders) - set(classes))
    if empty:
        raise UserError(
            f"{where} has {len(empty)} class folder(s) without images: {_some(empty)}.",
            why="They would shift the labels of the other classes.",
            hint="Fill or remove them.",
        )
    # torchvision walks every class folder, sorts its folders by path and then the files of each by name.
    images.sort(key=lambda path: (path.parts[0], str(path.parent), path.name))
    number = {name: label for label, name in enumerate(classes)}
    labels = np.array([number[path.parts[0]] for path in images], dtype=np.int64)
    return Layout(tuple(map(str, images)), labels, tuple(classes))


def _scan(root: Path) -> tuple[list[str], list[str]]:
    """Return all visible files below ``root`` and its top-level folders, as relative paths."""
    names: list[str] = []
    top: list[str] = []
    seen: set[str] = set()

    def refuse(error: OSError) -> None:
        raise UserError(f"Cannot read the folder {error.filename}.", why=error.strerror or "") from error

    for folder, children, files in os.walk(root, followlinks=True, onerror=refuse):
        real = os.path.realpath(folder)
        if real in seen:
            raise UserError(
                f"{folder} links back to a folder that was read already.", hint="Remove the link."
            )
        seen.add(real)
        children[:] = sorted(child for child in children if not child.startswith("."))
        base = Path(folder).relative_to(root)
        if folder == str(root):
            top = list(children)
        names.extend((base / file).as_posix() for file in files if not file.startswith("."))
    return names, top


def _nothing_found(where: str, paths: Sequence[PurePosixPath]) -> UserError:
    if not paths:
        return UserError(
            f"{where} is empty.",
            why=f"Looked for images ({', '.join(IMAGE_EXTENSIONS)}), also in sub-folders.",
        )
    shards = sorted({str(path.parent) for path in paths if path.suffix.lower() in (".parquet", ".tar")})
    kinds = sorted({path.suffix.lower() or "(none)" for path in paths})
    return UserError(
        f"{where} has no images among its {len(paths)} files.",
        why=f"Looked for {', '.join(IMAGE_EXTENSIONS)}; found files of type {_some(kinds)}.",
        hint=f"Name the folder of the shards: {where}/{shards[0]}." if shards else "",
    )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
