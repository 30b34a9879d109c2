"""What every test gets: a store of its own, no network, and a registry read afresh where it is changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dar_bench import plugins


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
