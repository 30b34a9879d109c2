from __future__ import annotations

import json
from pathlib import Path

import pytest

from dar_bench.errors import UserError
from dar_bench.output_folders import check_folder, claim_folder, clear_folder


def made(folder: Path, files: list[str], *, by: str = "tool") -> None:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("old")
    (folder / "list.json").write_text(json.dumps({"made_by": by, "files": files}))


def claim(folder: Path, *, overwrite: bool = True) -> None:
    clear_folder(folder, check_folder(folder, "list.json", "tool", overwrite=overwrite))


def test_new_and_empty_folders_are_free(tmp_path: Path) -> None:
    claim(tmp_path / "new", overwrite=False)
    assert not (tmp_path / "new").exists()
    claim(tmp_path, overwrite=False)


def test_only_listed_files_go(tmp_path: Path) -> None:
    made(tmp_path, ["a.png", "deep/b.png", "full/c.png"])
    (tmp_path / "full/mine.txt").write_text("kept")
    with pytest.raises(UserError, match="--overwrite"):
        claim(tmp_path, overwrite=False)
    claim(tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["full", "full/mine.txt"]


def test_a_list_cannot_reach_outside(tmp_path: Path) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    (tmp_path / "precious.txt").write_text("kept")
    (folder / "link").symlink_to(tmp_path)
    made(folder, ["a.png"])
    names = ["../precious.txt", str(tmp_path / "precious.txt"), "link/precious.txt", "a.png"]
    (folder / "list.json").write_text(json.dumps({"made_by": "tool", "files": names}))
    claim(folder)
    assert (tmp_path / "precious.txt").read_text() == "kept"
    assert not (folder / "a.png").exists()


def test_what_a_killed_run_left_can_be_replaced_and_nothing_else_goes(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    claim(folder)
    claim_folder(folder, "list.json", "tool", ["[0-9]*.png", "previews/*.png", "../*.txt"])
    (folder / "previews").mkdir()
    for name in ("000001.png", "previews/a.png", "mine.png", "../precious.txt"):
        (folder / name).write_text("x")
    with pytest.raises(UserError, match="--overwrite"):
        claim(folder, overwrite=False)
    claim(folder)
    assert sorted(path.name for path in folder.rglob("*")) == ["mine.png"]
    assert (tmp_path / "precious.txt").exists()


@pytest.mark.parametrize(
    "listing", ["", "[]", "{}", '{"made_by": "another", "files": []}', '{"made_by": "tool", "files": 3}']
)
def test_what_another_hand_made_is_left_alone(tmp_path: Path, listing: str) -> None:
    (tmp_path / "list.json").write_text(listing)
    with pytest.raises(UserError, match="is not empty"):
        claim(tmp_path)
    assert (tmp_path / "list.json").read_text() == listing


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        claim(tmp_path / "file")
