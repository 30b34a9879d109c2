"""``dar-bench plugins new``: a plugin project that works, written from templates.

A template is a file of the project with ``.tmpl`` behind its name, in which ``my-model`` stands for the name and
``my_model`` for the Python package. The weights are made by the project's own ``make_weights`` module.
"""

from __future__ import annotations

import importlib.util
import keyword
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from dar_bench.errors import UserError
from dar_bench.files import writing
from dar_bench.plugins import registry

TEMPLATES = Path(__file__).parent / "templates"

# Later folders replace files of earlier ones; paths pick single files.
_SOURCES = {
    "generator": ("shared", "generator"),
    "tokenizer": ("shared", "tokenizer"),
    "autoregressive": (
        "shared",
        "tokenizer/my_model/model.py.tmpl",
        "tokenizer/my_model/tokenizer.py.tmpl",
        "autoregressive",
    ),
}
KINDS = tuple(_SOURCES)

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project that was written.

    Attributes:
        folder: where it is.
        models: names of its models.
        files: its files, relative to the folder.
    """

    folder: Path
    models: list[str]
    files: list[str]


def write_project(name: str, kind: str, parent: Path) -> Project:
    """Write a plugin project into the folder ``parent / name``.

    Args:
        name: of the distribution, the plugin and its model; lower-case words joined by dashes.
        kind: one of `KINDS`.
        parent: where the project's folder is made; it is made itself where it does not exist.

    Raises:
        UserError: a name that cannot be used or is taken, or a folder that exists already. Nothing is written then.
    """
    _check_name(name, kind)
    folder = parent / name
    if folder.exists():
        raise UserError(
            f"'{folder}' exists already.",
            why="Nothing of it is replaced.",
            hint="Choose another name, or another place with --folder.",
        )
    with writing(folder):
        parent.mkdir(parents=True, exist_ok=True)
        # Made beside its place and moved there when it is complete.
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=parent) as beside:
            made = Path(beside) / name
            for path, text in _rendered(name, kind).items():
                (made / path).parent.mkdir(parents=True, exist_ok=True)
                (made / path).write_text(text, encoding="utf-8")
            _make_weights(made, package_of(name))
            made.rename(folder)
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return Project(folder=folder, models=_models(name, kind), files=files)


def package_of(name: str) -> str:
    """Return the name of a project's Python package."""
    return name.replace("-", "_")


def _models(name: str, kind: str) -> list[str]:
    return [f"{name}-tokenizer", name] if kind == "autoregressive" else [name]


def _check_name(name: str, kind: str) -> None:
    if not _NAME.fullmatch(name):
        raise UserError(
            f"'{name}' is no name for a plugin.",
            why="It names a distribution, a Python package and a model.",
            hint="Give lower-case words and digits joined by dashes, such as my-model.",
        )
    package = package_of(name)
    if keyword.iskeyword(package) or importlib.util.find_spec(package) is not None:
        raise UserError(
            f"The name '{name}' is taken.",
            why=f"'{package}' is a keyword of Python."
            if keyword.iskeyword(package)
            else f"A Python module '{package}' is installed already.",
            hint="Choose another name.",
        )
    found = registry()
    taken = {status.name for status in found.plugins}
    taken |= {other for card in found.cards() for other in (card.name, *card.aliases)}
    clash = [wanted for wanted in (name, *_models(name, kind)) if wanted in taken]
    if clash:
        raise UserError(
            f"The name '{clash[0]}' is taken by an installed plugin.",
            hint="Choose another name; see 'dar-bench models' and 'dar-bench plugins list'.",
        )


def _rendered(name: str, kind: str) -> dict[str, str]:
    """Return path inside the project to text."""
    rendered = {}
    for source in _SOURCES[kind]:
        start = TEMPLATES / source
        root = TEMPLATES / source.split("/")[0]
        for path in sorted(start.rglob("*.tmpl")) if start.is_dir() else [start]:
            inside = path.relative_to(root).as_posix().removesuffix(".tmpl")
            rendered[_named(inside, name)] = _named(path.read_text(encoding="utf-8"), name)
    return rendered


def _named(text: str, name: str) -> str:
    return text.replace("my_model", package_of(name)).replace("my-model", name)


def _make_weights(project: Path, package: str) -> None:
    """Run the project's own module that writes its weights."""
    path = os.pathsep.join(part for part in (str(project), *sys.path) if part)
    ran = subprocess.run(
        [sys.executable, "-m", f"{package}.make_weights"],
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=project,
        capture_output=True,
        text=True,
    )
    if ran.returncode != 0:
        raise UserError(
            "The project's weights could not be made.",
            why=(ran.stderr.strip().splitlines() or ["no message"])[-1],
            hint="Check the installation with 'dar-bench models'.",
        )
