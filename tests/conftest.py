"""What every test gets: a store of its own, no network, and a registry read afresh where it is changed."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dar_bench import plugins


def pytest_configure() -> None:
    """Let tests of Ctrl-C work where the run itself was started in the background, which ignores the signal."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the browser tests out where there is no browser, and count them as left out."""
    if _chromium():
        return
    without = [item for item in items if item.get_closest_marker("browser")]
    if without:
        items[:] = [item for item in items if item not in without]
        config.hook.pytest_deselected(items=without)
        print(f"\n{len(without)} browser tests are left out: no Chromium found; see 'make browser'.")


def _chromium() -> str:
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), "")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the installed browser; tests that need it carry the mark `browser`."""
    return _chromium()


@pytest.fixture(autouse=True)
def store(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point DAR_BENCH_HOME at a fresh folder, so that no test reads or fills the user's store."""
    folder = tmp_path_factory.mktemp("store")
    monkeypatch.setenv("DAR_BENCH_HOME", str(folder))
    monkeypatch.delenv("DAR_BENCH_OFFLINE", raising=False)
    monkeypatch.delenv("DAR_BENCH_TRACEBACK", raising=False)
    return folder


@pytest.fixture
def fresh_registry() -> Iterator[None]:
    """Forget the registry before and after a test that changes what is installed."""
    plugins.registry.cache_clear()
    yield
    plugins.registry.cache_clear()


@dataclass(frozen=True)
class InceptionFiles:
    """One Inception network with random weights, in both published forms; read only."""

    pb: Path
    pth: Path


@pytest.fixture(scope="session")
def inception_files(tmp_path_factory: pytest.TempPathFactory) -> InceptionFiles:
    """Write a random Inception network (190 MB) once for all processes of a test run."""
    import fcntl

    from dar_bench.features.random_inception import random_state, write_pb, write_pth

    folder = _inception_folder(tmp_path_factory.getbasetemp())
    folder.mkdir(exist_ok=True)
    files = InceptionFiles(pb=folder / "classify_image_graph_def.pb", pth=folder / "pt_inception.pth")
    with (folder / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not files.pth.is_file():
            state = random_state(0)
            write_pb(state, files.pb)
            write_pth(state, files.pth)
    return files


def _inception_folder(temporary: Path) -> Path:
    """Return a folder that the processes of a run share: theirs lie in one folder each, side by side."""
    return (temporary.parent if "PYTEST_XDIST_WORKER" in os.environ else temporary) / "inception"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Drop the large files: pytest keeps the temporary folders of three runs."""
    factory = getattr(session.config, "_tmp_path_factory", None)
    if factory is not None and "PYTEST_XDIST_WORKER" not in os.environ:
        shutil.rmtree(_inception_folder(factory.getbasetemp()), ignore_errors=True)
