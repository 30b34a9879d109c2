"""The zoo: every model that is installed, and every one that the published tables only report.

Reads the tables and the measured records as plain JSON, so that listing the zoo imports nothing heavy. Whether a
record is sound is the business of whoever scores or compares with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from dar_bench import weights
from dar_bench.api import AutoencoderCard, Card, Family, GeneratorCard, ReportedScore, TokenizerCard
from dar_bench.plugins import Registry
from dar_bench.results.published import is_table, shipped_folder, table_rows

Standing = Literal["measured", "installed", "reported only"]
STANDINGS: tuple[Standing, ...] = get_args(Standing)
FAMILIES: tuple[str, ...] = get_args(Family)
"""The groups, tokenizers first, then as in the D-AR paper's Table 3."""

_FID_NAMES = ("fid", "gfid", "rfid")
_HEADLINE = ("FID", "rFID", "FD[", "rFD[")
"""What the beginning of a score's name must be to stand in the zoo's table, best first."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """The score that stands for a measured record.

    Attributes:
        score: its name, with its extractor.
        value: the number.
        n: samples.
        file: the record's file.
    """

    score: str
    value: float
    n: int
    file: str


@dataclass(frozen=True, kw_only=True)
class ZooEntry:
    """One model of the zoo.

    Attributes:
        name: the card's, or that of the published table's row.
        family: its group.
        standing: ``measured`` (installed, with a record of a score), ``installed``, or ``reported only``: no
            plugin on this machine brings it, and nothing but a paper's table speaks for it.
        parameters: the card's exact number; for a reported one the number as printed, where it is.
        card: the card, where it is installed.
        tokenizer: card of the tokenizer, where it needs one and that is installed.
        reported: rows of published tables, from the card and from the tables that come with dar-bench.
        measured: measured records with a headline score, newest last.
    """

    name: str
    family: str
    standing: Standing
    parameters: int | None
    card: Card | None = None
    tokenizer: TokenizerCard | None = None
    reported: tuple[ReportedScore, ...] = ()
    measured: tuple[Measurement, ...] = field(default=())

    @property
    def kind(self) -> str:
        """Whether it encodes images to codes or latents, makes images, or measures them."""
        if isinstance(self.card, AutoencoderCard):
            return "autoencoder"
        return self.family if self.family in ("tokenizer", "extractor") else "generator"

    @property
    def best_reported(self) -> str:
        """The best reported FID under its printed name, or ``""``."""
        scores = [
            (value, name)
            for report in self.reported
            for name, value in report.scores.items()
            if name.lower() in _FID_NAMES
        ]
        if not scores:
            return ""
        value, name = min(scores)
        return f"{name} {value:g}"

    def facts(self) -> dict[str, Any]:
        """Return the entry as JSON values: the card's fields where there is a card."""
        facts: dict[str, Any] = {"name": self.name}
        if self.card is not None:
            facts |= {**asdict(self.card), "weights_status": weights.status(self.card)}
            config = self.card.config
            facts["config"] = {
                key: value if _is_plain(value) else str(value) for key, value in config.items()
            }
        facts |= {
            "kind": self.kind,
            "family": self.family,
            "parameters": self.parameters,
            "standing": self.standing,
        }
        facts["reported"] = [asdict(report) for report in self.reported]
        facts["measured"] = [asdict(measurement) for measurement in self.measured]
        return facts


def entries(found: Registry, results: Path) -> list[ZooEntry]:
    """Return the zoo, by family: installed models in their plugins' order, then those that are only reported.

    Args:
        found: the installed plugins.
        results: folder of measured records; need not exist.
    """
    cards = found.cards()
    own = {name: card.name for card in cards for name in (card.name, *card.aliases)}
    published = _published(own)
    measured = _measured(results, own)
    tokenizers = {card.name: card for card in cards if isinstance(card, TokenizerCard)}
    zoo = [
        ZooEntry(
            name=card.name,
            family=card.family,
            standing="measured" if card.name in measured else "installed",
            parameters=card.parameters,
            card=card,
            tokenizer=tokenizers.get(card.tokenizer) if isinstance(card, GeneratorCard) else None,
            reported=_merged(card.reported, published.pop(card.name, [])),
            measured=tuple(measured.get(card.name, ())),
        )
        for card in cards
    ]
    zoo += [
        ZooEntry(
            name=name,
            family=next((row.family for row in rows if row.family), "tokenizer"),
            standing="reported only",
            parameters=next((row.parameters for row in rows if row.parameters), None),
            reported=tuple(row.report for row in rows),
        )
        for name, rows in published.items()
    ]
    order = {family: place for place, family in enumerate(FAMILIES)}
    return sorted(zoo, key=lambda entry: order.get(entry.family, len(order)))


def find(name: str, found: Registry, results: Path) -> ZooEntry:
    """Return the entry of one model: by name, alias or model folder, or by the name in a published table.

    Raises:
        UserError: as `Registry.card` does, where no table has the name either.
    """
    zoo = entries(found, results)
    for entry in zoo:
        if entry.card is None and entry.name == name:
            return entry
    card = found.card(name)
    for entry in zoo:
        if entry.card == card:
            return entry
    return ZooEntry(
        name=card.name,
        family=card.family,
        standing="installed",
        parameters=card.parameters,
        card=card,
        reported=card.reported,
    )


@dataclass(frozen=True)
class _Row:
    """One row of a published table."""

    report: ReportedScore
    family: str
    parameters: int | None


def _published(own: Mapping[str, str]) -> dict[str, list[_Row]]:
    """Return the rows of the shipped tables by model; an installed model under its card's name."""
    rows: dict[str, list[_Row]] = {}
    for path in sorted(shipped_folder().glob("*.json")):
        data = json.loads(path.read_text(encoding="utf-8"))
        for fields in table_rows(data) if is_table(data) else ():
            model = fields["model"]
            report = ReportedScore(
                source=fields["source"],
                row=str(fields.get("row", "")),
                scores={name: float(value) for name, value in _scores(fields["scores"])},
                options={name: str(value) for name, value in fields.get("options", {}).items()},
                note=fields.get("note", ""),
            )
            row = _Row(report, model.get("family", ""), model.get("parameters"))
            rows.setdefault(own.get(model["name"], model["name"]), []).append(row)
    return rows


def _scores(scores: Any) -> Iterator[tuple[str, float]]:
    """Yield name and value of scores in either form of the table: a mapping, or a list of objects."""
    if isinstance(scores, Mapping):
        for name, value in scores.items():
            yield name, value["value"] if isinstance(value, Mapping) else value
    else:
        for score in scores:
            yield score["name"], score["value"]


def _merged(own: Sequence[ReportedScore], rows: Sequence[_Row]) -> tuple[ReportedScore, ...]:
    """Return the card's rows, and those of the tables that the card has not."""
    known = {(report.source, tuple(sorted(report.scores.items()))) for report in own}
    more = [row.report for row in rows]
    return (
        *own,
        *(report for report in more if (report.source, tuple(sorted(report.scores.items()))) not in known),
    )


def _measured(results: Path, own: Mapping[str, str]) -> dict[str, list[Measurement]]:
    """Return the headline score of every measured record, by installed model."""
    found: dict[str, list[tuple[str, Measurement]]] = {}
    for path in sorted(results.rglob("*.json")) if results.is_dir() else ():
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            if record["origin"] != "measured" or record["kind"] not in ("reconstruction", "generation"):
                continue
            name = own[record["model"]["name"]]
            headline = _headline(record["scores"])
            created = str(record["created"])
        except (OSError, ValueError, KeyError, TypeError):
            continue  # no record, or of a model that is not installed; 'dar-bench results list' names damaged ones
        if headline is not None:
            measurement = Measurement(
                score=headline["name"], value=headline["value"], n=headline["n"], file=path.as_posix()
            )
            found.setdefault(name, []).append((created, measurement))
    return {
        name: [measurement for _, measurement in sorted(dated, key=lambda item: item[0])]
        for name, dated in found.items()
    }


def _headline(scores: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    for start in _HEADLINE:
        for score in scores:
            if score["name"].startswith(start):
                return score
    return None


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str | list | tuple)
