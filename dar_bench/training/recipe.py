"""Recipes: readable TOML files that become nested frozen dataclasses, checked strictly.

A training command declares one dataclass derived from :class:`TrainingRecipe`; every section of the file is a
field that is itself a dataclass. Unknown keys, wrong types and values out of range are user errors that name
the file, the key and the value.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, get_type_hints

from dar_bench.errors import UserError, suggest
from dar_bench.training.recipe_values import WrongType, convert, expected, parse_text

T = TypeVar("T")


class OutOfRange(Exception):
    """Raised by a section's ``check()``: the field, its value and what would be allowed."""

    def __init__(self, key: str, value: object, allowed: str):
        self.key = key
        self.value = value
        self.allowed = allowed
        super().__init__(f"{key} = {value!r} must be {allowed}")


def require(condition: bool, key: str, value: object, allowed: str) -> None:
    """Raise :class:`OutOfRange` unless ``condition`` holds; for use inside ``check()``."""
    if not condition:
        raise OutOfRange(key, value, allowed)


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """The optimizer.

    Attributes:
        name: ``adamw`` as published, or ``muon``: Muon for the matrices of the stacked blocks and AdamW for the rest,
            which takes short trainings of small models about half as many steps to the same loss.
        lr: peak learning rate.
        decay_matrices_only: weight decay acts on tensors of two or more dimensions only.
        clip_norm: largest global gradient norm; 0 switches clipping off.
    """

    name: Literal["adamw", "muon"] = "adamw"
    lr: float = 2e-4
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.0
    decay_matrices_only: bool = True
    eps: float = 1e-8
    clip_norm: float = 1.0

    def check(self) -> None:
        """Raise `OutOfRange` for the first value that is not allowed."""
        require(self.lr > 0, "lr", self.lr, "above 0")
        require(all(0 <= beta < 1 for beta in self.betas), "betas", self.betas, "from 0 to below 1")
        require(self.weight_decay >= 0, "weight_decay", self.weight_decay, "0 or more")
        require(self.eps > 0, "eps", self.eps, "above 0")
        require(self.clip_norm >= 0, "clip_norm", self.clip_norm, "0 (off) or more")


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """The learning rate as a function of the step.

    Attributes:
        warmup_steps: linear rise from 0 over so many steps.
        kind: what follows the warm-up.
        decay_start: first step of the decay (``linear``, ``cosine``); before it the rate is constant.
        decay_end: step at which ``final_lr`` is reached; left out, it is the last step of the training.
        final_lr: the rate at ``decay_end`` and after.
    """

    warmup_steps: int = 0
    kind: Literal["constant", "linear", "cosine"] = "constant"
    decay_start: int = 0
    decay_end: int | None = None
    final_lr: float = 0.0

    def check(self) -> None:
        """Raise `OutOfRange` for the first value that is not allowed."""
        require(self.warmup_steps >= 0, "warmup_steps", self.warmup_steps, "0 or more")
        require(self.decay_start >= 0, "decay_start", self.decay_start, "0 or more")
        if self.decay_end is not None:
            require(self.decay_end > self.decay_start, "decay_end", self.decay_end, "above decay_start")
        require(self.final_lr >= 0, "final_lr", self.final_lr, "0 or more")


@dataclass(frozen=True, kw_only=True)
class EmaConfig:
    """The moving average of the weights that evaluation uses.

    Attributes:
        decay: weight of the old average in every step (0.999 in the D-AR paper).
        ramp: start with the smaller decay ``(1 + step) / (10 + step)``, so that a short training does not
            keep its random start in the average.
    """

    decay: float = 0.999
    ramp: bool = True

    def check(self) -> None:
        """Raise `OutOfRange` for the first value that is not allowed."""
        require(0 <= self.decay < 1, "decay", self.decay, "from 0 to below 1")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """The run itself.

    Attributes:
        steps: optimizer steps of the whole training.
        batch_size: images per step, over all processes and micro-batches together.
        micro_batch: images per forward pass and process, 0 for all at once; smaller ones are accumulated.
        workers: data loading processes beside each training process; 0 loads in the training process.
        log_every, eval_every, image_every, checkpoint_every: intervals in steps; 0 switches the action off,
            except that a checkpoint is always written at the end.
        keep_checkpoints: how many of the newest checkpoints stay; 0 keeps all.
        threads: CPU threads per process, 0 for torch's own choice.
        device: ``auto`` takes the accelerator where there is one.
    """

    steps: int = 1000
    batch_size: int = 64
    micro_batch: int = 0
    seed: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    workers: int = 0
    log_every: int = 50
    eval_every: int = 0
    image_every: int = 0
    checkpoint_every: int = 1000
    keep_checkpoints: int = 2
    compile: bool = False
    threads: int = 0
    device: Literal["auto", "cpu"] = "auto"

    def check(self) -> None:
        """Raise `OutOfRange` for the first value that is not allowed."""
        for key in ("steps", "batch_size"):
            require(getattr(self, key) >= 1, key, getattr(self, key), "1 or more")
        require(0 <= self.seed < 2**63, "seed", self.seed, "from 0 to below 2^63")
        intervals = ("log_every", "eval_every", "image_every", "checkpoint_every")
        for key in ("micro_batch", "workers", "keep_checkpoints", "threads", *intervals):
            require(getattr(self, key) >= 0, key, getattr(self, key), "0 or more")


@dataclass(frozen=True, kw_only=True)
class TrainingRecipe:
    """What every training needs; a task's recipe adds sections such as ``model`` and ``data``."""

    train: TrainConfig = field(default_factory=TrainConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    ema: EmaConfig = field(default_factory=EmaConfig)


def load_recipe(cls: type[T], path: Path, overrides: Sequence[str] = ()) -> T:
    """Read a recipe file, apply ``section.key=value`` overrides and check everything.

    Raises:
        UserError: for an unreadable file, an unknown section or key, a wrong type, or a value out of range.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"Cannot read the recipe {path}.", why=error.strerror or str(error)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"The recipe {path} is not valid TOML.", why=str(error)) from error
    for override in overrides:
        _apply_override(cls, data, override)
    return from_dict(cls, data, source=str(path))


def from_dict(cls: type[T], data: Mapping[str, Any], *, source: str = "recipe") -> T:
    """Build the nested dataclass ``cls`` from plain tables; ``source`` is named in errors."""
    recipe: T = _build(cls, data, source=source, prefix="")
    return recipe


def to_dict(recipe: Any) -> dict[str, Any]:
    """Return the recipe as plain tables that TOML and JSON can hold: lists for tuples, no absent values."""
    tables: dict[str, Any] = {}
    for item in dataclasses.fields(recipe):
        value = getattr(recipe, item.name)
        if dataclasses.is_dataclass(value):
            tables[item.name] = to_dict(value)
        elif isinstance(value, tuple):
            tables[item.name] = list(value)
        elif value is not None:
            tables[item.name] = value
    return tables


def dump_toml(recipe: Any) -> str:
    """Return the whole recipe, defaults included, as TOML that reads back to the same value."""
    return "\n".join(_toml_lines(to_dict(recipe), prefix="")).strip() + "\n"


def flatten(tables: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return ``{"section.key": value}`` for nested tables."""
    flat: dict[str, Any] = {}
    for key, value in tables.items():
        name = f"{prefix}{key}"
        flat.update(flatten(value, f"{name}.") if isinstance(value, Mapping) else {name: value})
    return flat


def differing_keys(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return the dotted keys whose values differ between two recipes given as tables."""
    left, right = flatten(one), flatten(other)
    return sorted(key for key in left.keys() | right.keys() if left.get(key) != right.get(key))


def _build(cls: Any, data: Mapping[str, Any], *, source: str, prefix: str) -> Any:
    types = get_type_hints(cls)
    fields = {item.name: item for item in dataclasses.fields(cls)}
    values: dict[str, Any] = {}
    for key, value in data.items():
        if key not in fields:
            raise _unknown_key(cls, f"{prefix}{key}", source)
        declared = types[key]
        if dataclasses.is_dataclass(declared):
            if not isinstance(value, Mapping):
                raise _wrong_type(f"{prefix}{key}", value, "a section", source)
            values[key] = _build(declared, value, source=source, prefix=f"{prefix}{key}.")
            continue
        try:
            values[key] = convert(value, declared)
        except WrongType as error:
            raise _wrong_type(f"{prefix}{key}", value, str(error), source) from error
    for name, item in fields.items():
        absent = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
        if name in values or not absent:
            continue
        if dataclasses.is_dataclass(types[name]):
            values[name] = _build(types[name], {}, source=source, prefix=f"{prefix}{name}.")
        else:
            raise UserError(
                f"{source} lacks '{prefix}{name}'.",
                hint=f"Add it; it is {expected(types[name])}.",
            )
    built = cls(**values)
    check = getattr(built, "check", None)
    if check is not None:
        try:
            check()
        except OutOfRange as error:
            raise UserError(
                f"'{prefix}{error.key}' is out of range in {source}.",
                why=f"It is {error.value!r} and must be {error.allowed}.",
            ) from error
    return built


def _apply_override(cls: Any, data: dict[str, Any], override: str) -> None:
    name, equals, text = override.partition("=")
    name = name.strip()
    source = f"--set {override}"
    if not equals or not name:
        raise UserError(f"Cannot read '{source}'.", hint="Write --set section.key=value.")
    table, declared = data, cls
    parts = name.split(".")
    for position, part in enumerate(parts):
        types = get_type_hints(declared) if dataclasses.is_dataclass(declared) else {}
        if part not in types:
            raise _unknown_key(declared, ".".join(parts[: position + 1]), source, tail=parts[position + 1 :])
        declared = types[part]
        if position < len(parts) - 1 and dataclasses.is_dataclass(declared):
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise _wrong_type(".".join(parts[: position + 1]), table, "a section", "the recipe")
    if dataclasses.is_dataclass(declared):
        raise UserError(
            f"Cannot set the whole section '{name}' with --set.",
            hint=f"Set one of its keys: {', '.join(f'{name}.{key}' for key in get_type_hints(declared))}.",
        )
    try:
        value = parse_text(text, declared)
    except WrongType as error:
        raise _wrong_type(name, text, str(error), source) from error
    if value is None:
        table.pop(parts[-1], None)
        return
    table[parts[-1]] = value


def _unknown_key(cls: Any, dotted: str, source: str, tail: Sequence[str] = ()) -> UserError:
    prefix, _, key = dotted.rpartition(".")
    known = [item.name for item in dataclasses.fields(cls)] if dataclasses.is_dataclass(cls) else []
    near = suggest(key, known)
    listed = ", ".join(known) if known else "none"
    where = f"section '{prefix}'" if prefix else "the recipe"
    return UserError(
        f"Unknown key '{'.'.join([dotted, *tail])}' in {source}.",
        why=near or f"Keys of {where}: {listed}.",
    )


def _wrong_type(key: str, value: object, wanted: str, source: str) -> UserError:
    return UserError(f"'{key}' in {source} must be {wanted}.", why=f"It is {value!r}.")


def _toml_lines(tables: Mapping[str, Any], prefix: str) -> list[str]:
    lines: list[str] = []
    for key, value in tables.items():
        if not isinstance(value, Mapping):
            lines.append(f"{key} = {_toml_value(value)}")
    for key, value in tables.items():
        if isinstance(value, Mapping):
            lines += ["", f"[{prefix}{key}]", *_toml_lines(value, f"{prefix}{key}.")]
    return lines


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_toml_value(item) for item in value) + "]"
    if isinstance(value, str):
        # JSON and TOML escape alike, except that TOML allows no bare DEL character.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
