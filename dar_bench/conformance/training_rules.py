"""Rules of commands: they say how they are used, and training takes a step."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import click

from dar_bench.conformance.rules import Broken, DoesNotApply, demand, rule
from dar_bench.conformance.subjects import CommandSubject
from dar_bench.errors import UserError
from dar_bench.plugins import MODEL_DESCRIPTION, load_object

CLASSES = 3
PER_CLASS = 4
SIDE = 40
"""Pixels of the smoke images' side; recipes crop or shrink them."""


@rule("command-help", "command")
def command_help(subject: CommandSubject) -> str:
    """The command's help page says what it does, explains every option, and shows an example."""
    command = load_object(subject.command.target)
    demand(isinstance(command, click.Command), f"{subject.command.target} is no click command")
    demand(bool(subject.command.help), "CommandSpec.help is empty")
    page = command.get_help(click.Context(command, info_name=subject.command.name))
    demand("Example" in page, "the help page shows no example")
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            demand(bool(parameter.help), f"the option {parameter.opts[0]} has no help")
    return f"{len(command.params)} parameters"


@rule("training-smoke", "command")
def training_smoke(subject: CommandSubject) -> str:
    """A training command takes one step on a handful of images and leaves something behind."""
    spec = subject.command
    if spec.group != "train":
        raise DoesNotApply("it does not train")
    demand(bool(spec.smoke), "CommandSpec.smoke names no run of one step")
    images = smoke_images(subject.bench.folder / "images")
    out = subject.bench.folder / f"smoke-{spec.name}"
    arguments = [part.format(images=images, out=out) for part in spec.smoke]
    printed = io.StringIO()
    try:
        with _threads_kept(), redirect_stdout(printed), redirect_stderr(printed):
            load_object(spec.target).main(arguments, prog_name=spec.name, standalone_mode=False)
    except (click.ClickException, UserError) as error:
        raise Broken(f"{spec.name} {' '.join(arguments)}: {error}") from error
    written = [path for path in out.rglob("*") if path.is_file()] if out.is_dir() else []
    demand(bool(written), "nothing was written to {out}")
    models = [path.parent for path in written if path.name == MODEL_DESCRIPTION]
    if not models:
        return f"{len(written)} files, none of them a model folder"
    demand(bool(subject.plugin.open_folder), "it wrote a model folder, but the plugin has no open_folder")
    card = load_object(subject.plugin.open_folder)(models[0])
    return f"one step; its folder opens as a model of {card.parameters:,} parameters"


def smoke_images(folder: Path) -> Path:
    """Write a few labelled images, one folder per class, and return the folder."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    for label in range(CLASSES):
        place = folder / f"class-{label}"
        place.mkdir(parents=True, exist_ok=True)
        for number in range(PER_CLASS):
            colour = random.integers(40, 216, 3)
            grain = random.integers(-40, 40, (SIDE, SIDE, 3))
            Image.fromarray((colour + grain).astype(np.uint8)).save(place / f"{number}.png")
    return folder


@contextmanager
def _threads_kept() -> Iterator[None]:
    """Put back what a training sets for its whole process."""
    import torch

    threads, environment = torch.get_num_threads(), dict(os.environ)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_grad_enabled(True)
        os.environ.clear()
        os.environ.update(environment)
