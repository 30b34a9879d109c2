"""What is checked: a TOML file of ``[[check]]`` tables, validated strictly."""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dar_bench.errors import UserError, suggest, unknown_name

FILE = Path("checks.toml")


class Check(BaseModel):
    """One check. Keys are written with dashes; everything but ``name`` and ``expect`` may be left out."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=lambda name: name.replace("_", "-"), strict=True
    )

    name: str = Field(min_length=1)
    """What reports call it."""

    expect: str = Field(min_length=1)
    """The record that must come out again: the beginning of its name or hash, or a row of a publication
    (``D-AR Table 3, D-AR-L``)."""

    model: str | None = None
    """Model to measure, where it is not the expected record's (an export folder, say)."""

    options: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Options that replace the expected record's."""

    samples: Annotated[int, Field(ge=16)] | None = None
    """Samples to make, where they are not the expected record's."""

    seed: Annotated[int, Field(ge=0)] | None = None
    """Seed of the run, where it is not the expected record's."""

    reference: str | None = None
    """Reference set, where it is not the expected record's."""

    evaluator: str | None = None
    """Evaluator, where it is not the expected record's."""

    scores: list[str] = Field(default_factory=list)
    """Names of the scores that are compared; all that both have where it is empty."""

    standard_errors: Annotated[float, Field(gt=0)] = 3.0
    """How many standard errors a score may be away."""

    same_samples: bool = False
    """Whether the samples themselves must be the record's, up to what rounding explains."""

    optional: bool = False
    """Whether the check passes where it cannot be made (no weights here, another protocol)."""


def read_checks(path: Path, names: tuple[str, ...] = ()) -> list[Check]:
    """Read a file of checks.

    Args:
        path: the file. names: only those; all where it is empty.

    Raises:
        UserError: the file is missing or malformed (with the check and the key), or a name is unknown.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"There is no file of checks '{path}'.",
            why=error.strerror or "",
            hint="Write one (see 'dar-bench check --help'), or name it with --file.",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"'{path}' is not TOML.", why=f"{error}.") from error
    tables = data.pop("check", [])
    if data or not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        raise UserError(
            f"'{path}' holds '{next(iter(data), 'check')}' where only [[check]] tables are known.",
            hint='Begin every check with [[check]] and give it name = "..." and expect = "...".',
        )
    if not tables:
        raise UserError(f"'{path}' holds no check.", hint="Begin every check with [[check]].")
    checks = [_check(path, number, table) for number, table in enumerate(tables, 1)]
    twice = [name for name, count in Counter(check.name for check in checks).items() if count > 1]
    if twice:
        raise UserError(f"'{path}' has two checks called '{twice[0]}'.", hint="Give each a name of its own.")
    for name in names:
        if name not in {check.name for check in checks}:
            raise unknown_name("check", name, [check.name for check in checks])
    return [check for check in checks if not names or check.name in names]


def _check(path: Path, number: int, table: dict[str, object]) -> Check:
    try:
        return Check.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        known = [name.replace("_", "-") for name in Check.model_fields]
        near = suggest(key, known) if first["type"] == "extra_forbidden" else ""
        called = f" ('{table['name']}')" if isinstance(table.get("name"), str) else ""
        raise UserError(
            f"Check {number}{called} of '{path}': {key}: {first['msg']}.",
            hint=near or f"It knows: {', '.join(known)}.",
        ) from error
