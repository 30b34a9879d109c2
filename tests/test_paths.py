from __future__ import annotations

from pathlib import Path

import pytest

from dar_bench.errors import UserError
from dar_bench.paths import home


def test_home_is_configured_or_in_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DAR_BENCH_HOME", str(tmp_path / "store"))
    assert home() == tmp_path / "store"
    monkeypatch.delenv("DAR_BENCH_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert home() == tmp_path / "caches" / "dar-bench"
    for ignored in ("", "caches"):  # empty is unset, and a relative path is to be ignored
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert home() == tmp_path / ".cache" / "dar-bench"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert home() == tmp_path / ".cache" / "dar-bench"


def test_a_file_is_no_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DAR_BENCH_HOME", str(tmp_path / "file"))
    with pytest.raises(UserError, match="is not a folder.*DAR_BENCH_HOME"):
        home()
