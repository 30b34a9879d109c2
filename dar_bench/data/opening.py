"""From what a user names to an image source."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from dar_bench.data.base import IMAGE_EXTENSIONS, ImageSource
from dar_bench.errors import UserError, unknown_name

KINDS = "an image folder, .zip, .npz, .parquet or .tar files, or NAME:SPLIT of a shipped data set"

_SHARD_KINDS = (".parquet", ".tar")
_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")
_DATASET = re.compile(r"([A-Za-z0-9][\w.-]*)(?::([\w.-]*))?")
_SPLIT = re.compile(r"(?:^|[-_.])(train|training|val|valid|validation|dev|test)(?=[-_.]|$)")


def open_source(
    spec: str | Path, *, image_column: str | None = None, label_column: str | None = None
) -> ImageSource:
    """Open images by what the user wrote.

    Args:
        spec: an image folder; a ``.zip`` of one; an ``.npz`` with ``arr_0`` (n, H, W, 3) uint8; a
            ``.parquet`` or ``.tar`` file; a folder, a glob (``train-*.parquet``) or a brace range
            (``x-{000..010}.tar``) of such shards; or ``name:split`` of a data set that a plugin ships
            (``emoji64:val``).
        image_column, label_column: column names of Parquet files, where the usual ones do not fit.

    Raises:
        UserError: nothing is there, it is empty, or it is of a kind that cannot be read.
    """
    text = str(spec)
    columns = {"image_column": image_column, "label_column": label_column}
    path = Path(text).expanduser()
    if path.is_dir():
        return _open_folder(text, path, columns)
    if path.is_file():
        return _open_files(text, [path], columns)
    if any(character in text for character in "*?[{"):
        return _open_files(text, expand(text), columns)
    return _open_dataset(text, columns)


def expand(pattern: str) -> list[Path]:
    """Return the files that a glob or a brace range such as ``x-{000..010}.tar`` names, in order.

    Raises:
        UserError: nothing matches, or a file of a brace range is missing.
    """
    braces = _BRACES.search(pattern)
    if braces is None:
        paths = _glob(Path(pattern).expanduser())
        if not paths:
            raise UserError(f"No file matches '{pattern}'.", hint="Quote the pattern and check its folder.")
        return paths
    first, last = braces.groups()
    if int(first) > int(last):
        raise UserError(f"The range {braces.group()} of '{pattern}' runs backwards.")
    paths = []
    for number in range(int(first), int(last) + 1):
        # Numbers are padded with zeros to the width of the first one, as shells do.
        name = pattern[: braces.start()] + f"{number:0{len(first)}d}" + pattern[braces.end() :]
        if _BRACES.search(name) or any(character in name for character in "*?["):
            paths.extend(expand(name))
        elif Path(name).expanduser().is_file():
            paths.append(Path(name).expanduser())
        else:
            raise UserError(f"There is no file {name}.", why=f"'{pattern}' asks for it.")
    return paths


def _glob(pattern: Path) -> list[Path]:
    # Path.glob wants a relative pattern, so the leading parts without wildcards become the folder.
    parts = pattern.parts
    plain = next((i for i, part in enumerate(parts) if any(c in part for c in "*?[")), len(parts) - 1)
    return sorted(Path(*parts[:plain]).glob("/".join(parts[plain:])))


def _open_folder(text: str, path: Path, columns: dict[str, str | None]) -> ImageSource:
    try:
        files = sorted(child for child in path.iterdir() if child.is_file() and child.name[:1] != ".")
    except OSError as error:
        raise UserError(f"Cannot read the folder {path}.", why=error.strerror or str(error)) from error
    kinds = {child.suffix.lower() for child in files}
    shards = [kind for kind in _SHARD_KINDS if kind in kinds]
    images = [child for child in files if child.suffix.lower() in IMAGE_EXTENSIONS]
    if len(shards) + bool(images) > 1:
        raise UserError(
            f"{path} mixes {' and '.join([*shards, *(['images'] if images else [])])} files.",
            hint=f"Name the files that you mean, for instance '{path / ('*' + shards[0])}'.",
        )
    if shards:
        return _open_shards_folder(text, path, [f for f in files if f.suffix.lower() == shards[0]], columns)
    _refuse_columns(text, columns)
    from dar_bench.data.folder import FolderSource

    return FolderSource(text, path)


def _open_shards_folder(
    text: str, path: Path, shards: Sequence[Path], columns: dict[str, str | None]
) -> ImageSource:
    splits = {match.group(1) if (match := _SPLIT.search(shard.stem)) else "" for shard in shards}
    if len(splits) > 1:
        named = ", ".join(sorted(split or "(none)" for split in splits))
        raise UserError(
            f"{path} holds several splits: {named}.",
            why="Images of different splits must not be mixed.",
            hint=f"Name one, for instance '{path / (max(splits) + '*' + shards[0].suffix)}'.",
        )
    return _open_files(text, shards, columns)


def _open_files(text: str, paths: Sequence[Path], columns: dict[str, str | None]) -> ImageSource:
    suffixes = {path.suffix.lower() for path in paths}
    if len(suffixes) > 1:
        raise UserError(f"'{text}' matches files of several kinds: {', '.join(sorted(suffixes))}.")
    suffix = suffixes.pop()
    if suffix == ".parquet":
        from dar_bench.data.parquet import ParquetSource

        return ParquetSource(text, paths, **columns)
    _refuse_columns(text, columns)
    if suffix in (".tar", ".tgz", ".gz"):
        from dar_bench.data.webdataset import WebDatasetSource

        return WebDatasetSource(text, paths)
    if suffix in (".zip", ".npz"):
        if len(paths) > 1:
            raise UserError(f"'{text}' matches {len(paths)} {suffix} files.", hint="Name one of them.")
        if suffix == ".zip":
            from dar_bench.data.archive import ZipSource

            return ZipSource(text, paths[0])
        from dar_bench.data.npz import NpzSource

        return NpzSource(text, paths[0])
    if suffix in IMAGE_EXTENSIONS:
        raise UserError(f"'{text}' names images, not a data set.", hint="Name their folder.")
    raise UserError(f"'{text}' is no data set that can be read.", hint=f"Give {KINDS}.")


def _refuse_columns(text: str, columns: dict[str, str | None]) -> None:
    named = [column for column in columns.values() if column is not None]
    if named:
        raise UserError(
            f"{text} has no columns, so '{named[0]}' cannot be chosen.",
            hint="Columns are named for Parquet files only.",
        )


def _open_dataset(text: str, columns: dict[str, str | None]) -> ImageSource:
    match = _DATASET.fullmatch(text)
    if match is None or Path(text).suffix.lower() in (".zip", ".npz", ".parquet", ".tar"):
        raise UserError(f"There is no file or folder {text}.", hint=f"Give {KINDS}.")
    from dar_bench.plugins import registry, resource_path

    name, split = match.groups()
    known = [dataset.name for dataset in registry().datasets()]
    if name not in known:
        if split is None:
            raise UserError(f"There is no file, folder or data set {text}.", hint=f"Give {KINDS}.")
        raise unknown_name("data set", name, known, hint="Or give the path of a file or folder.")
    dataset = registry().dataset(name)
    if not split:
        named = ", ".join(f"{name}:{one}" for one in sorted(dataset.splits))
        raise UserError(f"'{text}' names no split.", hint=f"Give one of {named}.")
    if split not in dataset.splits:
        raise unknown_name(f"split of {name}", split, dataset.splits)
    path = resource_path(dataset.splits[split])
    opened = _open_folder(text, path, columns) if path.is_dir() else _open_files(text, [path], columns)
    if not opened.class_names:
        opened.class_names = dataset.class_names
    return opened
