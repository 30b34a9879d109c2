from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
import torch

from dar_bench.errors import UserError
from dar_bench.training import checkpoint


def save(root: Path, step: int, *, keep: int = 0) -> Path:
    tensors = {"module": {"weight": torch.full((3,), float(step))}}
    return checkpoint.save(
        root,
        tensors,
        step=step,
        recipe={"a": {"b": 1}},
        versions={},
        window={"loss": 0.1, "count": 2},
        keep=keep,
    )


def test_the_newest_checkpoint_comes_back_whole(tmp_path: Path) -> None:
    for step in (5, 10):
        save(tmp_path, step)
    found = checkpoint.latest(tmp_path)
    assert found is not None
    assert (found.step, found.recipe, found.window) == (10, {"a": {"b": 1}}, {"loss": 0.1, "count": 2})
    assert torch.equal(found.tensors()["module"]["weight"], torch.full((3,), 10.0))


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for step in range(1, 6):
        save(tmp_path, step, keep=2)
    assert checkpoint.steps(tmp_path) == [4, 5]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000004", "step-00000005"]


@pytest.mark.parametrize("damage", ["flip", "cut", "lost", "no json", "bad json"])
def test_a_damaged_newest_one_is_reported_and_passed_over(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path, 5)
    folder = save(tmp_path, 10)
    data = bytearray((folder / "state.pt").read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
        (folder / "state.pt").write_bytes(data)
    elif damage == "cut":
        (folder / "state.pt").write_bytes(data[:-7])
    elif damage == "lost":
        (folder / "state.pt").unlink()
    elif damage == "no json":
        (folder / "state.json").unlink()
    else:
        (folder / "state.json").write_text('{"step": 10')
    found = checkpoint.latest(tmp_path)
    assert found is not None and found.step == 5
    assert "step-00000010 is damaged" in capsys.readouterr().err
    # Out of the way, so that neither the next checkpoint of that step nor the count of those to keep sees it.
    checkpoint.set_aside(tmp_path, after=5)
    assert checkpoint.steps(tmp_path) == [5]
    save(tmp_path, 10, keep=1)
    again = checkpoint.latest(tmp_path)
    assert again is not None and again.step == 10


def test_nothing_sound_is_an_error_and_nothing_at_all_is_none(tmp_path: Path) -> None:
    assert checkpoint.latest(tmp_path / "none") is None
    (save(tmp_path, 5) / "state.pt").unlink()
    with pytest.raises(UserError, match=r"All 1 checkpoints .* are damaged"):
        checkpoint.latest(tmp_path)


def test_a_full_disk_leaves_the_older_checkpoints_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 5)

    def half(_: Any, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(UserError, match="No space left"):
        save(tmp_path, 10, keep=1)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000005"]


def test_leftovers_of_killed_processes_are_removed(tmp_path: Path) -> None:
    save(tmp_path, 5)
    (tmp_path / ".tmp-1234-step-00000010").mkdir()
    checkpoint.remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000005"]
