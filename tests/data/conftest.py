from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

NAMES = ("cat/a.png", "cat/b.png", "dog/deep/c.png", "dog/y.png", "dog/z.png")
"""Deliberately not in the order in which torchvision reads them: it takes the files of ``dog`` first."""

LABELS = (0, 0, 1, 1, 1)


def make_pixels(seed: int, height: int = 12, width: int = 10) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encode(pixels: np.ndarray, kind: str = "png") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


@pytest.fixture
def files() -> dict[str, bytes]:
    """Path inside a folder to the PNG there."""
    return {name: encode(make_pixels(seed)) for seed, name in enumerate(NAMES)}


@pytest.fixture
def image_folder(tmp_path: Path, files: dict[str, bytes]) -> Path:
    root = tmp_path / "images"
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


@pytest.fixture
def read_order() -> tuple[str, ...]:
    return ("cat/a.png", "cat/b.png", "dog/y.png", "dog/z.png", "dog/deep/c.png")


@pytest.fixture
def write_zip() -> Callable[[Path, dict[str, bytes]], Path]:
    def write(path: Path, members: dict[str, bytes]) -> Path:
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        return path

    return write


@pytest.fixture
def write_tar() -> Callable[[Path, Sequence[tuple[str, bytes]]], Path]:
    def write(path: Path, members: Sequence[tuple[str, bytes]]) -> Path:
        with tarfile.open(path, "w") as archive:
            for name, data in members:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        return path

    return write


@pytest.fixture
def write_parquet() -> Callable[..., Path]:
    def write(path: Path, images: Sequence[bytes | None], labels: Sequence[object] | None, **options) -> Path:
        structs = [{"bytes": data, "path": None} for data in images]
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        columns = {options.pop("image_column", "image"): pa.array(structs, kind)}
        if labels is not None:
            columns[options.pop("label_column", "label")] = pa.array(labels)
        metadata = options.pop("metadata", None)
        pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path, **options)
        return path

    return write
