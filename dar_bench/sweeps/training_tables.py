"""Tables of a training sweep: what came of every stage, beside the paper's numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dar_bench.api import ReportedScore
from dar_bench.options import parse_options
from dar_bench.plugins import registry
from dar_bench.results.texts import display
from dar_bench.sweeps.reported import reported_for
from dar_bench.sweeps.scoring import RowResult
from dar_bench.sweeps.specification import Texts
from dar_bench.sweeps.tables import record_of
from dar_bench.sweeps.training import TrainedModel, TrainingSweep


@dataclass(frozen=True, kw_only=True)
class TrainedRow:
    """A trained model and its measurement.

    Attributes:
        trained: the model. result: of its measurement. paths: of its records.
    """

    trained: TrainedModel
    result: RowResult
    paths: list[Path]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "row": dict(self.trained.row),
            "stage": self.trained.stage,
            "records": [record.model_dump(mode="json") for record in self.result.records],
            "files": [str(path) for path in self.paths],
        }


def training_tables(
    sweep: TrainingSweep, found: Sequence[TrainedRow]
) -> list[tuple[str, list[str], list[list[str]]]]:
    """Return title, headings and rows of one table for every stage and evaluator."""
    tables = []
    for stage in sweep.stages:
        rows = [one for one in found if one.trained.stage == stage.name]
        evaluators = dict.fromkeys(
            record.evaluator.name for one in rows for record in one.result.records if record.evaluator
        )
        tables += [_table(sweep, stage.name, name, rows) for name in evaluators]
    return tables


def _table(
    sweep: TrainingSweep, stage: str, evaluator: str, rows: Sequence[TrainedRow]
) -> tuple[str, list[str], list[list[str]]]:
    records = [record_of(one.result, evaluator) for one in rows]
    names = list(dict.fromkeys(score.name for record in records if record for score in record.scores))
    reported = [_reported(sweep, one.trained.row) for one in rows]
    published = list(dict.fromkeys(name for row in reported if row for name in row.scores))
    headings = [*sweep.rows[0], *names, *(f"reported {name}" for name in published)]
    lines = []
    for one, record, paper in zip(rows, records, reported, strict=True):
        scores = paper.scores if paper else {}
        lines.append(
            [
                *(one.trained.row.get(name, "") for name in sweep.rows[0]),
                *(display(score) if record and (score := record.score(name)) else "" for name in names),
                *(f"{scores[name]:g}" if name in scores else "" for name in published),
            ]
        )
    return f"{stage}: {rows[0].result.records[0].samples} images, {evaluator}", headings, lines


def _reported(sweep: TrainingSweep, row: Texts) -> ReportedScore | None:
    if not sweep.reported:
        return None
    card = registry().card(sweep.reported)
    known = {option.name for option in card.options}
    return reported_for(
        card, parse_options(card, {name: text for name, text in row.items() if name in known})
    )
