"""What a sweep is asked for, whoever asks: a command's options or a file."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dar_bench.api import Card, LoadOptions
from dar_bench.errors import UserError
from dar_bench.generation import BATCH_SIZE
from dar_bench.runs.shards import SHARD

MAX_ROWS = 1000
"""More rows than anybody reads are a slip of the pen."""

Texts = Mapping[str, str]
"""Option name to the user's text."""


@dataclass(frozen=True, kw_only=True)
class SweepSpec:
    """One sweep over one model.

    Attributes:
        model: name or export folder, of a generator or a tokenizer.
        rows: texts of the options of every row; what a row does not name is the model's default.
        swept: the options that differ between rows, in the order of the table's columns.
        evaluators: whose protocols measure.
        samples: images to generate; of reconstructions, images to take, ``None`` for all.
        seed: of the run.
        labels: policy; ``None`` for the usual one.
        reference: data that samples are compared with, or images that are reconstructed; ``None`` for the usual.
        reference_limit: take so many of the reference images, spread evenly.
        weights: path of a weights file to use instead of the model's own.
        batch_size: images at a time.
        shard: samples that are kept together.
        loading: device, precision, compilation.
    """

    model: str
    rows: tuple[Texts, ...]
    swept: tuple[str, ...]
    evaluators: tuple[str, ...] = ("embedded",)
    samples: int | None = None
    seed: int = 0
    labels: str | None = None
    reference: str | None = None
    reference_limit: int | None = None
    weights: str = ""
    batch_size: int = BATCH_SIZE
    shard: int = SHARD
    loading: LoadOptions = field(default_factory=LoadOptions)


def grid(axes: Mapping[str, Sequence[str]], fixed: Texts) -> tuple[Texts, ...]:
    """Return one row for every combination of the axes' values, the last axis fastest.

    Args:
        axes: option name to its values.
        fixed: options that are the same in every row.

    Raises:
        UserError: an axis without values, an option on an axis and fixed, or too many rows.
    """
    for name, values in axes.items():
        if not values:
            raise UserError(
                f"The grid is empty: '{name}' has no values.", hint="Give at least one value to each option."
            )
        if name in fixed:
            raise UserError(
                f"The option '{name}' is swept and fixed at once.", hint="Name it in one place only."
            )
    rows = 1
    for values in axes.values():
        rows *= len(values)
    if rows > MAX_ROWS:
        raise UserError(
            f"The grid has {rows} rows.", why=f"At most {MAX_ROWS} make sense.", hint="Sweep fewer values."
        )
    names = list(axes)
    return tuple(
        {**fixed, **dict(zip(names, values, strict=True))} for values in itertools.product(*axes.values())
    )


def split_values(text: str, name: str) -> tuple[str, ...]:
    """Return the values of a comma-separated list.

    Raises:
        UserError: an empty list or an empty value.
    """
    values = tuple(value.strip() for value in text.split(","))
    if not all(values):
        raise UserError(
            f"'{text}' is no list of values for {name}.", hint="Separate them by commas: none,1.5,2.0"
        )
    return values


def unique_rows(card: Card, rows: Sequence[Texts]) -> list[dict[str, Any]]:
    """Return the complete options of every row.

    Raises:
        UserError: no rows, an option that the model does not take, a value out of its range, or two rows that
            mean the same.
    """
    from dar_bench.options import parse_options

    if not rows:
        raise UserError(
            "The sweep has no rows.", hint="Give at least one value to sweep over, or one row in the file."
        )
    found: list[dict[str, Any]] = []
    for row in rows:
        complete = parse_options(card, row)
        if complete in found:
            text = ", ".join(f"{name}={value}" for name, value in row.items()) or "the defaults"
            raise UserError(
                f"Two rows of the sweep are the same: {text}.", hint="Name every combination once."
            )
        found.append(complete)
    return found
