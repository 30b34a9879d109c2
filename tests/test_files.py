from __future__ import annotations

import errno
import json
from collections import namedtuple
from pathlib import Path

import pytest

from dar_bench import files
from dar_bench.errors import UserError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_finished_file_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "new folder" / "result.npz"
    files.write_text(target, "old")
    with files.atomic_path(target) as temporary:
        assert temporary.suffix == ".npz"
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert names(target.parent) == ["result.npz"]


@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt()])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "result.json"
    files.write_json(target, {"kept": True})
    with pytest.raises(type(error)), files.atomic_path(target) as temporary:
        temporary.write_text("half")
        raise error
    assert json.loads(target.read_text()) == {"kept": True}
    assert names(tmp_path) == ["result.json"]


def test_a_folder_appears_complete_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), files.atomic_path(tmp_path / "checkpoint") as temporary:
        temporary.mkdir()
        (temporary / "model").write_text("half")
        raise RuntimeError("stop")
    assert names(tmp_path) == []
    with files.atomic_path(tmp_path / "checkpoint") as temporary:
        temporary.mkdir()
        (temporary / "model").write_text("whole")
    assert (tmp_path / "checkpoint" / "model").read_text() == "whole"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_the_users_error_and_leaves_nothing(tmp_path: Path, error: Exception) -> None:
    target = tmp_path / "samples.npz"
    with pytest.raises(UserError, match="No space left") as caught, files.atomic_path(target) as temporary:
        temporary.write_text("half")
        raise error
    assert caught.value.exit_code == 2
    assert names(tmp_path) == []


def test_a_writer_that_hides_the_errno_is_believed_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(files.shutil, "disk_usage", lambda folder: usage(free=4096))
    with pytest.raises(UserError, match="No space left"), files.atomic_path(tmp_path / "model.pt"):
        raise RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed")
    monkeypatch.setattr(files.shutil, "disk_usage", lambda folder: usage(free=1 << 40))
    with pytest.raises(RuntimeError, match="file write failed"), files.atomic_path(tmp_path / "model.pt"):
        raise RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed")


def test_a_parent_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UserError, match="Cannot write") as caught:
        files.write_text(tmp_path / "out" / "result.json", "{}")
    assert str(tmp_path / "out") in str(caught.value)


def test_errors_about_other_files_pass_unchanged(tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "input.png"
    with pytest.raises(FileNotFoundError), files.atomic_path(tmp_path / "out" / "result.json"):
        other.read_bytes()


def test_json_knows_no_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "result.json", {"fid": float("nan")})
    assert names(tmp_path) == []


def test_a_private_file_becomes_as_readable_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "any other").write_text("")
    with files.atomic_path(tmp_path / "model") as temporary:
        temporary.touch(mode=0o600)
    assert (tmp_path / "model").stat().st_mode == (tmp_path / "any other").stat().st_mode


def test_a_folder_without_a_way_to_write_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.require_writable(tmp_path / "new" / "deep")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="'.*file' is no folder"):
        files.require_writable(tmp_path / "file" / "results")
    monkeypatch.setattr(
        files.os, "access", lambda place, mode: Path(place) != tmp_path
    )  # root may write anywhere
    with pytest.raises(
        UserError, match=f"Cannot write into '{tmp_path}/new'.*'{tmp_path}' may not be written to"
    ):
        files.require_writable(tmp_path / "new")
