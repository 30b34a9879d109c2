from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from training_toy import ToyTask, recipe_of

from dar_bench.errors import UserError
from dar_bench.training.loop import train
from dar_bench.training.run_folder import RunFolder


def run(folder: Path, *, resume: bool = False, **sections: dict[str, Any]) -> None:
    recipe = recipe_of(**sections)
    train(ToyTask(recipe), recipe, folder, resume=resume)


@pytest.fixture
def done(tmp_path: Path) -> Path:
    run(tmp_path, train={"steps": 2})
    return tmp_path


def test_a_second_run_needs_resume(done: Path) -> None:
    before = (done / "metrics.jsonl").read_text()
    with pytest.raises(UserError, match="already holds a training run") as caught:
        run(done, train={"steps": 2})
    assert "--resume" in caught.value.hint
    assert (done / "metrics.jsonl").read_text() == before


def test_there_must_be_something_to_resume(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no training run to resume"):
        run(tmp_path / "new", resume=True, train={"steps": 2})
    assert not (tmp_path / "new").exists()


def test_another_recipe_names_the_differing_keys(done: Path) -> None:
    with pytest.raises(UserError, match=r"differs .*: optimizer\.lr, train\.seed\.") as caught:
        run(done, resume=True, train={"steps": 2, "seed": 1}, optimizer={"lr": 0.5})
    assert "recipe.toml" in caught.value.hint


def test_steps_intervals_and_the_tasks_own_free_keys_may_change(done: Path) -> None:
    run(done, resume=True, train={"steps": 3, "log_every": 2, "checkpoint_every": 7}, toy={"pause": 0.001})


def test_fewer_steps_than_done_are_refused(done: Path) -> None:
    with pytest.raises(UserError, match="already done 2 steps"):
        run(done, resume=True, train={"steps": 1})


def test_a_run_killed_before_its_first_checkpoint_starts_again(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, recipe_of(), resume=False)
    folder.start_session({})
    folder.close()
    run(tmp_path, resume=True, train={"steps": 2})


def test_a_folder_in_use_is_refused_with_its_holder(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from dar_bench.training.recipe import TrainingRecipe\n"
        "from dar_bench.training.run_folder import RunFolder\n"
        "folder = RunFolder(Path(sys.argv[1]), TrainingRecipe(), resume=False)\n"
        "print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=f"in use by process {holder.pid} "):
            run(tmp_path, train={"steps": 1})
    finally:
        holder.kill()
        holder.communicate()
    # The lock ends with its holder, even a killed one.
    run(tmp_path, train={"steps": 1})


def test_an_unusable_folder_is_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Cannot write"):
        run(tmp_path / "file" / "run", train={"steps": 1})
