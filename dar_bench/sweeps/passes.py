"""Rows grouped by the work they share: one decoding for all token counts of equal codes and options."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dar_bench.api import TokenizerCard
from dar_bench.recording import plain_options
from dar_bench.runs.folder import RunKey
from dar_bench.sweeps.made import View
from dar_bench.sweeps.nodes import CodesNode, ImagesNode, Node, ViewPlace
from dar_bench.sweeps.plan import PlannedRow
from dar_bench.sweeps.specification import Texts


@dataclass(frozen=True, kw_only=True)
class Parts:
    """A row's options, divided between the two halves of a model with codes.

    Attributes:
        texts: the row's. options: complete.
        sampling: those that codes depend on. sampling_texts: the user's of them.
        decoding: those that images of given codes depend on, without ``tokens``. decoding_texts: the user's.
        tokens: how many codes.
    """

    texts: Texts
    options: dict[str, Any]
    sampling: dict[str, Any]
    sampling_texts: dict[str, str]
    decoding: dict[str, Any]
    decoding_texts: dict[str, str]
    tokens: int

    def complete_decoding_texts(self) -> dict[str, str]:
        """Return the decoding options as the tokenizer's card reads them, whatever its own defaults are."""
        plain = plain_options(self.decoding)
        return {name: str(value) for name, value in plain.items() if value is not None}


def divide(texts: Texts, options: dict[str, Any], tokenizer: TokenizerCard) -> Parts:
    """Divide a row's options: what the tokenizer's card has belongs to decoding, ``tokens`` to both."""
    names = {option.name for option in tokenizer.options}
    decoding = {name: value for name, value in options.items() if name in names and name != "tokens"}
    return Parts(
        texts=texts,
        options=options,
        sampling={name: value for name, value in options.items() if name not in names},
        sampling_texts={name: text for name, text in texts.items() if name not in names},
        decoding=decoding,
        decoding_texts={name: text for name, text in texts.items() if name in decoding},
        tokens=int(options.get("tokens", tokenizer.tokens)),
    )


def words(texts: Mapping[str, str]) -> str:
    """Return options in words."""
    return ", ".join(f"{name} {text}" for name, text in texts.items()) or "default options"


def decoded_rows(
    parts: Sequence[Parts],
    *,
    source: Callable[[Parts], tuple[RunKey, CodesNode]],
    place: Callable[[Parts], ViewPlace],
    node: Callable[[str, CodesNode, Parts, Mapping[View, ViewPlace]], ImagesNode],
    nodes: list[Node],
) -> list[PlannedRow]:
    """Add one pass for all rows of equal codes and decoding options, and return the rows.

    Args:
        parts: of every row.
        source: from a row to the key of its codes, whatever their count, and the node that makes them.
        place: from a row to where its view is kept.
        node: makes the node of a pass from its title, its codes, one of its rows, and its views.
        nodes: of the plan; the passes are appended.
    """
    passes: dict[tuple[str, str], list[Parts]] = {}
    for part in parts:
        options = repr(sorted(plain_options(part.decoding).items()))
        passes.setdefault((source(part)[0].digest(), options), []).append(part)
    rows: dict[int, PlannedRow] = {}
    for members in passes.values():
        first = members[0]
        views = {part.tokens: place(part) for part in members}
        counts = ", ".join(str(view) for view in sorted(views))
        sampled = f" of {words(first.sampling_texts)}" if first.sampling_texts else ""
        title = f"decode the first {counts} codes{sampled}, {words(first.decoding_texts)}"
        made = node(title, source(first)[1], first, views)
        nodes.append(made)
        for part in members:
            rows[id(part)] = PlannedRow(texts=part.texts, options=part.options, node=made, view=part.tokens)
    return [rows[id(part)] for part in parts]
