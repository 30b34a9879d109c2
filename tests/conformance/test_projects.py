"""The projects that `plugins new` writes: complete, clean, and free of the template's names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from dar_bench.scaffold.project import KINDS, write_project


@pytest.mark.parametrize("kind", KINDS)
def test_a_project_carries_its_own_name_alone(kind: str, tmp_path: Path) -> None:
    project = write_project("two-words", kind, tmp_path)
    assert project.models[-1] == "two-words"
    assert (project.folder / "two_words" / "two-words.safetensors").stat().st_size < 1_000_000
    for file in project.files:
        assert "my" not in Path(file).stem.split("_")
        path = project.folder / file
        if path.suffix != ".safetensors":
            text = path.read_text()
            assert "my-model" not in text
            assert "my_model" not in text
    clean = subprocess.run(
        [
            sys.executable,
            "-m",
            "ruff",
            "check",
            "--isolated",
            "--line-length",
            "120",
            "--select",
            "E,F,W,I,UP,B",
            ".",
        ],
        cwd=project.folder,
        capture_output=True,
        text=True,
    )
    assert clean.returncode == 0, clean.stdout


def test_the_weights_are_those_of_a_fixed_seed(projects: dict[str, Path], tmp_path: Path) -> None:
    again = write_project("my-model", "generator", tmp_path).folder / "my_model" / "my-model.safetensors"
    first = load_file(projects["generator"] / "my_model" / "my-model.safetensors")
    assert all(bool((first[name] == tensor).all()) for name, tensor in load_file(again).items())
