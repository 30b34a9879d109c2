"""Image folders inside zip archives, read in place."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dar_bench.data.base import IMAGE_EXTENSIONS, ImageSource, PerProcess, decode_image, describe_files
from dar_bench.data.folder import arrange
from dar_bench.errors import UserError

_ENCRYPTED = 0x1


class ZipSource(ImageSource):
    """A zip archive of an image folder, with the same order and labels as the folder.

    A single folder that wraps all others (``data/cat/1.png``, ``data/dog/2.png``) is looked through. Hidden
    files and the resource forks that macOS adds are left out.
    """

    def __init__(self, name: str, path: Path):
        self.name = name
        self._path = path
        with _open(path) as archive:
            entries = [info for info in archive.infolist() if _visible(info.filename)]
        locked = next((info.filename for info in entries if info.flag_bits & _ENCRYPTED), None)
        if locked is not None:
            raise UserError(f"{path} is encrypted ({locked}).", hint="Unpack it and name the folder.")
        self._root, names, folders = _unwrap(entries)
        self._layout = arrange(str(path), names, folders)
        self.class_names = self._layout.class_names
        self._archive = PerProcess(_Opener(path))

    def __len__(self) -> int:
        return len(self._layout.names)

    def key(self, index: int) -> str:
        """Return the image's path inside the archive's image folder."""
        return self._layout.names[index]

    def labels(self) -> NDArray[np.int64]:
        """Return all labels, int64 (n,)."""
        return self._layout.labels

    def _load(self, index: int) -> Image.Image:
        member = self._root + self._layout.names[index]
        where = f"{self._path.name}/{member} (image {index} of {self.name})"
        try:
            data = self._archive().read(member)
        # A damaged member shows as a wrong checksum, a broken stream or a truncated file.
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
            raise UserError(f"Cannot read the image {where}.", why=str(error)) from error
        return decode_image(data, where)

    def _describe(self) -> str:
        return "zip\n" + describe_files([("", self._path)])


class _Opener:
    """Opens the archive; a class, so that it can be pickled."""

    def __init__(self, path: Path):
        self._path = path

    def __call__(self) -> zipfile.ZipFile:
        return _open(self._path)


def _open(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(
            f"Cannot read {path} as a zip archive.", why=str(error), hint="Download or copy it again."
        ) from error


def _visible(name: str) -> bool:
    return not any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def _unwrap(entries: list[zipfile.ZipInfo]) -> tuple[str, list[str], list[str]]:
    """Return the prefix of the image folder, the files in it, and its top-level folders."""
    names = [info.filename for info in entries if not info.is_dir()]
    images = [PurePosixPath(name) for name in names if name.lower().endswith(IMAGE_EXTENSIONS)]
    depth = 0
    while images and len({path.parts[depth] for path in images if len(path.parts) >= depth + 3}) == 1:
        if any(len(path.parts) < depth + 3 for path in images):
            break
        depth += 1
    root = "".join(part + "/" for part in images[0].parts[:depth]) if images else ""
    inside = [name[len(root) :] for name in names if name.startswith(root)]
    folders = {
        info.filename[len(root) :].split("/")[0]
        for info in entries
        if info.filename.startswith(root) and "/" in info.filename[len(root) :]
    }
    return root, inside, sorted(folders)
