"""A real distribution, built and installed with pip: listed, used, broken, and in conflict."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent / "third_party_package"


def pip_install(project: Path, target: Path) -> None:
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"),
            *("--no-index", "--disable-pip-version-check", "--target", str(target), str(project)),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source") / "toy-images"
    shutil.copytree(PACKAGE, source)
    pip_install(source, target)
    return target


def copy_of(installed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(installed, tmp_path / "site"))


def python(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=120
    )


def dar_bench(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return python(site, "-m", "dar_bench", *arguments)


def test_it_is_listed_with_what_it_brings(installed: Path) -> None:
    listed = json.loads(dar_bench(installed, "plugins", "list", "--json").stdout)
    facts = {plugin["name"]: plugin for plugin in listed["plugins"]}["toy-images"]
    assert facts["distribution"] == "toy-images"
    assert facts["version"] == "0.3.0"
    assert facts["models"] == ["toy-colours"]
    assert facts["commands"] == ["train colours"]
    assert facts["error"] == ""
    assert listed["conflicts"] == []


def test_its_model_and_command_are_used_like_any_other(installed: Path) -> None:
    program = """
import torch
from dar_bench.api import Generator, LoadOptions, SampleKeys
from dar_bench.options import parse_options
from dar_bench.plugins import load_model

model = load_model("colours", LoadOptions())
assert isinstance(model, Generator)
options = parse_options(model.card, {"noise": "0"})
(batch,) = model.generate(torch.tensor([2, 0]), SampleKeys(seed=1, indices=(5, 6)), options)
print(batch.final, tuple(batch.images.shape), batch.images[:, :, 0, 0].tolist())
"""
    used = python(installed, "-c", program)
    assert used.stdout == "True (2, 3, 8, 8) [[40, 60, 220], [220, 40, 40]]\n", used.stderr
    wrong = dar_bench(installed, "train", "colours")
    assert wrong.returncode == 2
    assert "Missing option '--data'" in wrong.stderr
    assert re.search(r"colours +Average a class\.", dar_bench(installed, "train", "--help").stdout)


def test_it_keeps_every_rule(installed: Path) -> None:
    checked = dar_bench(installed, "plugins", "check", "toy-images", "--json")
    findings = json.loads(checked.stdout)
    assert [finding for finding in findings if finding["outcome"] == "fails"] == []
    assert checked.returncode == 0
    held = {finding["rule"] for finding in findings if finding["outcome"] == "holds"}
    assert held >= {
        "light-import",
        "parameters",
        "load-strict",
        "seeds",
        "labels",
        "generate-batch",
        "training-smoke",
    }


def test_broken_it_is_reported_and_the_rest_works(installed: Path, tmp_path: Path) -> None:
    site = copy_of(installed, tmp_path)
    plugin = site / "toy_images" / "__init__.py"
    plugin.write_text("import a_framework_that_is_gone\n" + plugin.read_text())
    listed = dar_bench(site, "plugins", "list", "--json")
    facts = {plugin["name"]: plugin for plugin in json.loads(listed.stdout)["plugins"]}
    assert facts["toy-images"]["error"] == "ModuleNotFoundError: No module named 'a_framework_that_is_gone'"
    assert facts["toy-images"]["models"] == []
    assert facts["dar"]["error"] == ""
    zoo = dar_bench(site, "models")
    assert zoo.returncode == 0
    assert "The plugin 'toy-images' (toy-images) did not load: ModuleNotFoundError" in zoo.stderr
    gone = dar_bench(site, "models", "toy-colours")
    assert gone.returncode == 2
    assert "these plugins did not load: toy-images" in gone.stderr
    traceback = dar_bench(site, "plugins", "list", "--traceback").stdout
    assert "toy_images/__init__.py" in traceback.replace("\n", "")


def test_a_second_distribution_with_its_model_is_an_error_for_that_model(
    installed: Path, tmp_path: Path
) -> None:
    site = copy_of(installed, tmp_path)
    project = tmp_path / "second"
    shutil.copytree(PACKAGE, project)
    (project / "toy_images").rename(project / "toy_copy")
    for path in (project / "pyproject.toml", *(project / "toy_copy").glob("*.py")):
        text = path.read_text().replace("toy_images", "toy_copy").replace("toy-images", "toy-copy")
        path.write_text(text)
    pip_install(project, site)
    used = dar_bench(site, "models", "toy-colours")
    assert used.returncode == 2
    assert "'toy-colours' is claimed by toy-copy and by toy-images" in used.stderr
    listed = dar_bench(site, "models")
    assert listed.returncode == 1
    assert "'toy-colours' is claimed by toy-copy and by toy-images" in listed.stderr
    assert "Traceback" not in listed.stderr
    assert dar_bench(site, "train", "colours").returncode == 2
