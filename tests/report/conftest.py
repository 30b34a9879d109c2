"""A folder of records of every sort, and the page made of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from dar_bench.report.writing import write_report
from dar_bench.results.record import Record
from dar_bench.results.store import RecordStore

from .sample_records import everything


@pytest.fixture(scope="session")
def records() -> list[Record]:
    return everything()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, records: list[Record]) -> Path:
    folder = tmp_path_factory.mktemp("records")
    for record in records:
        RecordStore(folder).write(record)
    Image.new("RGB", (40, 20), "teal").save(folder / "some-samples.png")
    (folder / f"generation-damaged-{'0' * 12}.json").write_text("{")
    return folder


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report([folder], path, title="A <title> & more", published=False)
    return path
