"""Plugin projects as `plugins new` writes them, installed in this process, whole or broken."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

from dar_bench import plugins
from dar_bench.scaffold.project import KINDS, write_project


@pytest.fixture(scope="session")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One project called my-model of every kind, and an autoencoder."""
    folders = {kind: tmp_path_factory.mktemp(kind) for kind in KINDS}
    written = {kind: write_project("my-model", kind, folder).folder for kind, folder in folders.items()}
    return {**written, "autoencoder": Path(__file__).parent / "autoencoder_project"}


@pytest.fixture
def project(projects: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that copies the project of a kind, to be broken."""
    return lambda kind: Path(shutil.copytree(projects[kind], tmp_path / "my-model"))


@pytest.fixture
def install(fresh_registry: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """Return a function that installs a project beside the real plugins."""

    def add(folder: Path) -> None:
        monkeypatch.syspath_prepend(folder)
        entry = EntryPoint(name="my-model", value="my_model:plugin", group="dar_bench.plugins")
        installed = [*entry_points(group="dar_bench.plugins"), entry]
        monkeypatch.setattr(plugins, "entry_points", lambda group: installed)

    _forget()
    yield add
    _forget()


def _forget() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "my_model"]:
        del sys.modules[name]
