"""Training sweeps: a grid over recipe values, each row trained and then measured (the paper's Tables 6 and 7).

A row is a chain of trainings, such as a tokenizer and a generator on its codes. The command of a stage is a plugin's
own (``dar-bench train NAME``), so that whatever can be trained can be swept. In its arguments stand:

    {KEY}      the row's value of a key of the grid, such as {groups}; values that are also options of the trained
               model are what it is measured with
    {NAME}     the export folder of an earlier stage of that name

The result of the last stage, and of every stage before it, is measured as any model is.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dar_bench.errors import UserError, suggest
from dar_bench.evaluators.names import check_evaluator
from dar_bench.plugins import load_object, registry
from dar_bench.sweeps.specification import SweepSpec, Texts

_FINISHED = "export"
_CHECKPOINTS = "checkpoints"


@dataclass(frozen=True, kw_only=True)
class TrainingStage:
    """One training of a row.

    Attributes:
        name: what later stages call its export by, and its folder.
        command: of ``dar-bench train``.
        arguments: without ``--out`` and ``--resume``.
    """

    name: str
    command: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TrainingSweep:
    """A grid of trainings.

    Attributes:
        stages: of every row, in order.
        rows: values of the grid's keys.
        options: texts of the options that the trained models are measured with; each model takes those it has.
        base: samples, seed, reference and evaluators of the measurements.
        reported: name of a card whose reported scores stand beside them, where their options are the row's values.
    """

    stages: tuple[TrainingStage, ...]
    rows: tuple[Texts, ...]
    options: Texts
    base: SweepSpec
    reported: str = ""


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """A stage that is finished.

    Attributes:
        row: values of the grid's keys. stage: its name. folder: its export.
    """

    row: Texts
    stage: str
    folder: Path


def check(sweep: TrainingSweep) -> None:
    """Check stages and placeholders before the first training.

    Raises:
        UserError: an unknown command, evaluator or card of reported scores, a stage named twice, a placeholder that
            nothing fills, or two rows whose trainings would share a folder.
    """
    for name in sweep.base.evaluators:
        check_evaluator(name)
    if sweep.reported:
        registry().card(sweep.reported)
    folders: dict[str, Texts] = {}
    for row in sweep.rows:
        other = folders.setdefault(row_name(row), row)
        if other is not row:
            raise UserError(
                f"Two rows of the training sweep have the folder '{row_name(row)}'.",
                why=f"They are {dict(other)} and {dict(row)}.",
                hint="Write values that differ in letters or digits.",
            )
    keys = [name for name in sweep.rows[0] if all(name in row for row in sweep.rows)]
    seen: list[str] = []
    for stage in sweep.stages:
        registry().command("train", stage.command)
        if stage.name in seen or stage.name in keys:
            raise UserError(
                f"Two things of the training sweep are called '{stage.name}'.", hint="Rename one."
            )
        for argument in stage.arguments:
            for name in _placeholders(argument):
                if name not in (*keys, *seen):
                    raise UserError(
                        f"Nothing fills '{{{name}}}' in the arguments of the stage '{stage.name}'.",
                        why=suggest(name, [*keys, *seen])
                        or f"There are: {', '.join([*keys, *seen]) or 'none'}.",
                    )
        seen.append(stage.name)


def train_rows(
    sweep: TrainingSweep, out: Path, on_stage: Callable[[Texts, TrainingStage, bool], None]
) -> Iterator[TrainedModel]:
    """Train what is not trained yet, and yield every finished stage in order.

    Args:
        sweep: which.
        out: folder of the trainings; one folder for each row and stage, named by the row's values.
        on_stage: told before each stage, and whether it is there already.

    Raises:
        UserError: what the trainings raise. A training that was stopped goes on from its newest checkpoint.
    """
    check(sweep)
    for row in sweep.rows:
        exports: dict[str, Path] = {}
        for stage in sweep.stages:
            folder = out / row_name(row) / stage.name
            export = folder / _FINISHED
            finished = (export / "model.json").is_file()
            on_stage(row, stage, finished)
            if not finished:
                _train(stage, {**row, **{name: str(path) for name, path in exports.items()}}, folder)
            exports[stage.name] = export
            yield TrainedModel(row=row, stage=stage.name, folder=export)


def training_plan(sweep: TrainingSweep, out: Path) -> list[dict[str, str]]:
    """Return row, stage and state (``trained``, ``begun``, ``to do``) of every training."""
    found = []
    for row in sweep.rows:
        for stage in sweep.stages:
            folder = out / row_name(row) / stage.name
            begun = any((folder / _CHECKPOINTS).glob("*"))
            trained = (folder / _FINISHED / "model.json").is_file()
            state = "trained" if trained else "begun" if begun else "to do"
            found.append({"row": row_name(row), "stage": stage.name, "state": state})
    return found


def measurement_spec(sweep: TrainingSweep, trained: TrainedModel) -> SweepSpec:
    """Return the measurement of a trained model: one row of the options that it has."""
    card = registry().card(str(trained.folder))
    known = {option.name for option in card.options}
    row = {name: text for name, text in sweep.options.items() if name in known}
    # A value of the grid that is also an option of the model (groups of tokens) has to be decoded with.
    row |= {name: text for name, text in trained.row.items() if name in known}
    return replace(sweep.base, model=str(trained.folder), rows=(row,), swept=())


def row_name(row: Texts) -> str:
    """Return a row's values as a folder name."""
    parts = (f"{name}-{value}" for name, value in row.items())
    return re.sub(r"[^\w.=+-]+", "_", "_".join(parts)) or "default"


def _train(stage: TrainingStage, values: Mapping[str, str], folder: Path) -> None:
    spec = registry().command("train", stage.command)
    command = load_object(spec.target)
    arguments = [_filled(argument, values) for argument in stage.arguments]
    resume = ["--resume"] if any((folder / _CHECKPOINTS).glob("*")) else []
    with contextlib.suppress(SystemExit):
        command.main(
            args=[*arguments, "--out", str(folder), *resume],
            prog_name=f"dar-bench train {stage.command}",
            standalone_mode=False,
        )
    if not (folder / _FINISHED / "model.json").is_file():
        raise UserError(
            f"The training '{folder}' stopped before its end.",
            hint="Run the same command again; it goes on from the newest checkpoint.",
        )


def _placeholders(text: str) -> list[str]:
    return re.findall(r"\{([\w.-]+)\}", text)


def _filled(text: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\{([\w.-]+)\}", lambda match: values[match[1]], text)
