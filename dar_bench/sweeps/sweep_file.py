"""Sweeps as TOML files; the form is shown in ``docs/sweeps.md``. A mistake is told with its line and key."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dar_bench.api import LoadOptions
from dar_bench.errors import UserError, suggest
from dar_bench.evaluators.names import named_evaluators
from dar_bench.generation import BATCH_SIZE
from dar_bench.labels import POLICIES
from dar_bench.sweeps.specification import SweepSpec, Texts, grid
from dar_bench.sweeps.training import TrainingStage, TrainingSweep

_TOP = ("sweep", "options", "grid", "rows", "train")
_SWEEP = {
    "model": (str, list),
    "tokenizer": (str, list),
    "samples": (int,),
    "seed": (int, list),
    "labels": (str,),
    "reference": (str,),
    "reference-limit": (int,),
    "data": (str,),
    "reported": (str,),
    "evaluators": (list,),
    "batch-size": (int,),
}
_STAGE = {"name": (str,), "command": (str,), "arguments": (list,)}


@dataclass(frozen=True, kw_only=True)
class SweepFile:
    """What a file asks for.

    Attributes:
        specs: one for every model and seed; empty for a training sweep.
        training: a training sweep, where the file is one.
    """

    specs: tuple[SweepSpec, ...] = ()
    training: TrainingSweep | None = None


def read_sweep_file(path: Path, loading: LoadOptions) -> SweepFile:
    """Read a sweep file.

    Args:
        path: of the file.
        loading: device and precision, which are the machine's and not the file's.

    Raises:
        UserError: it cannot be read or is malformed; with line and key.
    """
    return _Reader(path).read(loading)


class _Reader:
    def __init__(self, path: Path):
        self.path = path
        try:
            self.text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise UserError(f"There is no sweep file '{path}'.", hint="Check the path.") from None
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"Cannot read the sweep file '{path}'.", why=str(error)) from error
        try:
            self.tables: dict[str, Any] = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            raise UserError(f"The sweep file '{path}' is not valid TOML.", why=f"{error}.") from error

    def read(self, loading: LoadOptions) -> SweepFile:
        self.known(self.tables, _TOP, "")
        for name in ("sweep", "options", "grid"):
            if not isinstance(self.tables.get(name, {}), dict):
                raise self.wrong(name, "", "It must be a table: [" + name + "].")
        sweep = self.tables.get("sweep", {})
        self.typed(sweep, _SWEEP, "sweep")
        if "train" in self.tables:
            return SweepFile(training=self.training(sweep, loading))
        names = self.models(sweep)
        axes = {name: self.values(name, value, "grid") for name, value in self.tables.get("grid", {}).items()}
        fixed = self.texts(self.tables.get("options", {}), "options")
        rows = (*(grid(axes, fixed) if axes else ()), *self.rows(fixed))
        swept = tuple(dict.fromkeys(name for row in rows for name in row if name not in fixed))
        if not rows:
            raise UserError(
                f"The sweep file '{self.path}' asks for no rows.",
                why="It has neither a [grid] with values nor [[rows]].",
                hint='For instance: [grid], then cfg = ["none", 1.5].',
            )
        seeds = sweep.get("seed", 0)
        return SweepFile(
            specs=tuple(
                self.spec(sweep, name, seed, rows, swept, loading)
                for name in names
                for seed in (seeds if isinstance(seeds, list) else [seeds])
            )
        )

    def spec(
        self,
        sweep: Mapping[str, Any],
        model: str,
        seed: int,
        rows: tuple[Texts, ...],
        swept: tuple[str, ...],
        loading: LoadOptions,
    ) -> SweepSpec:
        if type(seed) is not int or seed < 0:
            raise self.wrong("seed", "sweep", "Seeds are whole numbers from 0 on.")
        for name in ("samples", "reference-limit", "batch-size"):
            if sweep.get(name, 1) < 1:
                raise self.wrong(name, "sweep", "It must be at least 1.")
        if sweep.get("labels", "balanced") not in POLICIES:
            raise self.wrong("labels", "sweep", f"It must be one of: {', '.join(POLICIES)}.")
        return SweepSpec(
            model=model,
            rows=rows,
            swept=swept,
            evaluators=self.evaluators,
            samples=sweep.get("samples"),
            seed=seed,
            labels=sweep.get("labels"),
            reference=sweep.get("reference", sweep.get("data")),
            reference_limit=sweep.get("reference-limit"),
            batch_size=sweep.get("batch-size", BATCH_SIZE),
            loading=loading,
        )

    @functools.cached_property
    def evaluators(self) -> tuple[str, ...]:
        """Who measures: named here, or as for every other measurement; asked once, for it may print a note."""
        return named_evaluators([str(name) for name in self.tables.get("sweep", {}).get("evaluators", [])])

    def models(self, sweep: Mapping[str, Any]) -> list[str]:
        given = [name for name in ("model", "tokenizer") if name in sweep]
        if len(given) != 1:
            raise UserError(
                f"The sweep file '{self.path}' must name a model or a tokenizer, and one of the two.",
                hint='Write [sweep], then model = "NAME".',
            )
        named = sweep[given[0]]
        names = named if isinstance(named, list) else [named]
        if not names or not all(isinstance(name, str) for name in names):
            raise self.wrong(given[0], "sweep", "It must be a name or a list of names.")
        return names

    def rows(self, fixed: Texts) -> list[Texts]:
        tables = self.tables.get("rows", [])
        if not isinstance(tables, list) or not all(isinstance(row, dict) for row in tables):
            raise self.wrong("rows", "", "Rows are written as [[rows]], one table for each.")
        return [{**fixed, **self.texts(row, "rows")} for row in tables]

    def training(self, sweep: Mapping[str, Any], loading: LoadOptions) -> TrainingSweep:
        stages = self.tables["train"]
        if not isinstance(stages, list) or not all(isinstance(stage, dict) for stage in stages):
            raise self.wrong("train", "", "Trainings are written as [[train]], one table for each stage.")
        found = []
        for stage in stages:
            self.typed(stage, _STAGE, "train")
            for needed in ("name", "command"):
                if needed not in stage:
                    raise self.wrong("train", "", f"A stage needs '{needed}'.")
            arguments = tuple(_text(argument) for argument in stage.get("arguments", []))
            found.append(TrainingStage(name=stage["name"], command=stage["command"], arguments=arguments))
        axes = {name: self.values(name, value, "grid") for name, value in self.tables.get("grid", {}).items()}
        rows = (*(grid(axes, {}) if axes else ()), *self.rows({}))
        if not found or not rows:
            raise self.wrong("train", "", "A training sweep needs stages, and values in [grid] or [[rows]].")
        seed = sweep.get("seed", 0)
        if isinstance(seed, list):
            raise self.wrong("seed", "sweep", "A training sweep is measured with one seed.")
        return TrainingSweep(
            stages=tuple(found),
            rows=rows,
            options=self.texts(self.tables.get("options", {}), "options"),
            base=self.spec(sweep, "", seed, (), (), loading),
            reported=sweep.get("reported", ""),
        )

    def values(self, name: str, value: Any, section: str) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise self.wrong(name, section, "It must be a list of values, such as [1, 2].")
        return tuple(self.scalar(name, item, section) for item in value)

    def texts(self, table: Mapping[str, Any], section: str) -> dict[str, str]:
        return {name: self.scalar(name, value, section) for name, value in table.items()}

    def scalar(self, name: str, value: Any, section: str) -> str:
        if not isinstance(value, str | int | float | bool):
            raise self.wrong(name, section, "It must be a text, a number, true or false.")
        return _text(value)

    def known(self, table: Mapping[str, Any], names: Sequence[str], section: str) -> None:
        for name in table:
            if name not in names:
                raise self.wrong(
                    name, section, suggest(name, names) or f"Known here: {', '.join(names)}.", unknown=True
                )

    def typed(self, table: Mapping[str, Any], types: Mapping[str, tuple[type, ...]], section: str) -> None:
        self.known(table, list(types), section)
        for name, value in table.items():
            if not isinstance(value, types[name]) or isinstance(value, bool):
                wanted = " or ".join(
                    {str: "a text", int: "a whole number", list: "a list"}[one] for one in types[name]
                )
                raise self.wrong(name, section, f"It must be {wanted}, not {value!r}.")

    def wrong(self, name: str, section: str, why: str, *, unknown: bool = False) -> UserError:
        line = self.line(name, section)
        place = f"line {line}, " if line else ""
        key = f"{section}.{name}" if section else name
        what = "unknown key" if unknown else "wrong value of"
        return UserError(f"The sweep file '{self.path}': {place}{what} '{key}'.", why=why)

    def line(self, name: str, section: str) -> int:
        """Return the line of a key (or of a table of that name), 0 where it is not found."""
        here = ""
        for number, line in enumerate(self.text.splitlines(), start=1):
            header = re.fullmatch(r"\s*\[\[?\s*([\w.-]+)\s*\]\]?\s*(#.*)?", line)
            if header:
                here = header[1]
                if not section and here == name:
                    return number
            elif here == section and re.match(rf"\s*[\"']?{re.escape(name)}[\"']?\s*=", line):
                return number
        return 0


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
