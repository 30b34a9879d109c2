"""Images in Parquet files, as Hugging Face's ``datasets`` writes them."""

from __future__ import annotations

import bisect
import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from dar_bench.data.base import UNLABELLED, ImageSource, PerProcess, decode_image, describe_files
from dar_bench.errors import UserError, suggest

ROW_GROUP_CACHE_BYTES = 256 * 2**20
"""Row groups kept decoded in memory, per process; the last one read is always kept."""


@dataclass(frozen=True)
class _Shard:
    """One file: its row groups start at rows ``starts`` of the whole source."""

    path: Path
    starts: tuple[int, ...]


class ParquetSource(ImageSource):
    """One or more Parquet files, read in the given order.

    Images are structs of ``bytes`` and ``path`` or plain binary values, encoded in any common format. Class
    names come from the ``huggingface`` entry of the schema's metadata. A row is read with its row group, and
    recently used row groups are kept: random access is cheap where the data fits ``ROW_GROUP_CACHE_BYTES``
    or its row groups are small (``datasets`` writes 100 images to a group).

    Args:
        name: for messages.
        paths: the files.
        image_column: chosen from the schema where ``None``: ``image``, or the only column of images.
        label_column: where ``None``: ``label``, or the only column of class labels, or no labels.
    """

    def __init__(
        self,
        name: str,
        paths: Sequence[Path],
        *,
        image_column: str | None = None,
        label_column: str | None = None,
    ):
        self.name = name
        files = [_open(path) for path in paths]
        schema = files[0].schema_arrow
        features = _features(schema)
        self._image_column = _find_image_column(paths[0], schema, features, image_column)
        self._label_column = _find_label_column(paths[0], schema, features, label_column)
        self._paths = tuple(paths)
        self._shards: list[_Shard] = []
        self._shard_starts: list[int] = []
        rows = 0
        for path, file in zip(paths, files, strict=True):
            for column in (self._image_column, self._label_column):
                if column is not None and column not in file.schema_arrow.names:
                    raise UserError(
                        f"{path.name} has no column '{column}', which {paths[0].name} has.",
                        hint="Name only files of one data set.",
                    )
            self._shard_starts.append(rows)
            starts = []
            for group in range(file.num_row_groups):
                starts.append(rows)
                rows += file.metadata.row_group(group).num_rows
            self._shards.append(_Shard(path, tuple(starts)))
        if rows == 0:
            raise UserError(f"{name} has no rows.", why=f"Looked in {len(paths)} Parquet file(s).")
        self._rows = rows
        self._labels, self.class_names = self._read_labels(files, features)
        for file in files:
            file.close()
        self._files = PerProcess(_RowGroups)

    def __len__(self) -> int:
        return self._rows

    def key(self, index: int) -> str:
        """Return the file's name and the row in it."""
        shard = self._shard_of(index)
        return f"{self._paths[shard].name}:{index - self._shard_starts[shard]}"

    def labels(self) -> NDArray[np.int64]:
        """Return all labels, int64 (n,)."""
        return self._labels

    def _shard_of(self, index: int) -> int:
        # Shards without rows start where their successor does; the rightmost one holds the row.
        return bisect.bisect_right(self._shard_starts, index) - 1

    def _load(self, index: int) -> Image.Image:
        shard = self._shards[self._shard_of(index)]
        group = bisect.bisect_right(shard.starts, index) - 1
        column = self._files().read(shard.path, group, self._image_column)
        value = column[index - shard.starts[group]].as_py()
        where = f"{self.key(index)} (image {index} of {self.name})"
        data = value.get("bytes") if isinstance(value, dict) else value
        if data is None:
            raise UserError(
                f"Cannot read the image {where}.",
                why="The row holds no image bytes, at most a path.",
                hint="Write the data set with its images embedded.",
            )
        return decode_image(data, where)

    def _read_labels(
        self, files: Sequence[pq.ParquetFile], features: dict[str, Any]
    ) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        if self._label_column is None:
            return np.full(self._rows, UNLABELLED, dtype=np.int64), ()
        chunks = [
            _checked(path, file.read, columns=[self._label_column]).column(0)
            for path, file in zip(self._paths, files, strict=True)
        ]
        # A shard without rows may have lost the type of its columns.
        types = {chunk.type for chunk in chunks if len(chunk)}
        if any(chunk.null_count for chunk in chunks):
            raise UserError(f"Column '{self._label_column}' of {self.name} has empty labels.")
        if all(pa.types.is_integer(kind) for kind in types):
            labels = np.concatenate([chunk.to_numpy() for chunk in chunks if len(chunk)]).astype(np.int64)
            return labels, _class_names(features.get(self._label_column))
        if all(pa.types.is_string(kind) or pa.types.is_large_string(kind) for kind in types):
            texts = np.concatenate([np.asarray(chunk.to_pylist(), dtype=object) for chunk in chunks])
            names, indices = np.unique(texts, return_inverse=True)
            return indices.astype(np.int64), tuple(str(name) for name in names)
        raise UserError(
            f"Column '{self._label_column}' of {self.name} holds {', '.join(sorted(map(str, types)))}.",
            why="Labels are integers, or strings that name the class.",
        )

    def _describe(self) -> str:
        columns = f"parquet\t{self._image_column}\t{self._label_column}\n"
        return columns + describe_files((str(i), path) for i, path in enumerate(self._paths))


class _RowGroups:
    """Open files and recently read row groups of one process."""

    def __init__(self) -> None:
        self._files: dict[Path, pq.ParquetFile] = {}
        self._groups: OrderedDict[tuple[Path, int], pa.ChunkedArray] = OrderedDict()

    def read(self, path: Path, group: int, column: str) -> pa.ChunkedArray:
        key = (path, group)
        if key in self._groups:
            self._groups.move_to_end(key)
            return self._groups[key]
        if path not in self._files:
            self._files[path] = _open(path)
        # Workers run one per core already, so Arrow's own threads would only add contention.
        table = _checked(path, self._files[path].read_row_group, group, columns=[column], use_threads=False)
        self._groups[key] = table.column(0)
        while len(self._groups) > 1 and sum(c.nbytes for c in self._groups.values()) > ROW_GROUP_CACHE_BYTES:
            self._groups.popitem(last=False)
        return self._groups[key]


def _open(path: Path) -> pq.ParquetFile:
    file: pq.ParquetFile = _checked(path, pq.ParquetFile, path)
    return file


def _checked(path: Path, read: Any, *args: Any, **options: Any) -> Any:
    """Call a reading function of Arrow and turn its failures into a message that names the file."""
    try:
        return read(*args, **options)
    except FileNotFoundError as error:
        raise UserError(f"There is no file {path}.") from error
    except (pa.ArrowException, OSError) as error:
        raise UserError(
            f"Cannot read {path} as Parquet.",
            why=str(error).splitlines()[0],
            hint="Download or copy the file again.",
        ) from error


def _features(schema: pa.Schema) -> dict[str, Any]:
    """Return the feature descriptions that ``datasets`` leaves in the schema, or nothing."""
    text = (schema.metadata or {}).get(b"huggingface")
    if text is None:
        return {}
    try:
        features = json.loads(text)["info"]["features"]
    except (ValueError, KeyError, TypeError):
        # The metadata only adds names; the columns themselves say all that is needed to read.
        return {}
    return features if isinstance(features, dict) else {}


def _feature_type(features: dict[str, Any], name: str) -> str:
    feature = features.get(name)
    return str(feature.get("_type", "")) if isinstance(feature, dict) else ""


def _class_names(feature: Any) -> tuple[str, ...]:
    names = feature.get("names", ()) if isinstance(feature, dict) else ()
    if isinstance(names, dict):
        # The dataset cards of the hub write names as a mapping from the label's text.
        names = [names[key] for key in sorted(names, key=int)]
    return tuple(str(name) for name in names)


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_image(kind: pa.DataType) -> bool:
    if _is_binary(kind):
        return True
    if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        return False
    return _is_binary(kind.field("bytes").type)


def _find_image_column(path: Path, schema: pa.Schema, features: dict[str, Any], given: str | None) -> str:
    if given is not None:
        if given not in schema.names:
            _no_column(path, schema, given)
        if not _is_image(schema.field(given).type):
            raise UserError(
                f"Column '{given}' of {path} holds {schema.field(given).type}.",
                why="Images are binary values, or structs of 'bytes' and 'path'.",
            )
        return given
    images: list[str] = [name for name in schema.names if _is_image(schema.field(name).type)]
    if "image" in images:
        return "image"
    declared = [name for name in images if _feature_type(features, name) == "Image"]
    candidates = declared or images
    if len(candidates) == 1:
        return candidates[0]
    raise UserError(
        f"{path} has {'no' if not candidates else 'more than one'} column of images.",
        why=f"Its columns: {', '.join(schema.names)}.",
        hint="Name the column of images." if candidates else "Is it the right file?",
    )


def _find_label_column(
    path: Path, schema: pa.Schema, features: dict[str, Any], given: str | None
) -> str | None:
    if given is not None:
        if given not in schema.names:
            _no_column(path, schema, given)
        return given
    if "label" in schema.names:
        return "label"
    classes = [name for name in schema.names if _feature_type(features, name) == "ClassLabel"]
    return classes[0] if len(classes) == 1 else None


def _no_column(path: Path, schema: pa.Schema, name: str) -> NoReturn:
    raise UserError(
        f"{path} has no column '{name}'.",
        why=f"Its columns: {', '.join(schema.names)}.",
        hint=suggest(name, schema.names),
    )
