"""Tables of training sweeps, and who measures one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from dar_bench.api import LoadOptions
from dar_bench.evaluators import names
from dar_bench.results.record import Evaluator, Model, Record, Score
from dar_bench.sweeps.scoring import RowResult
from dar_bench.sweeps.specification import SweepSpec
from dar_bench.sweeps.sweep_file import read_sweep_file
from dar_bench.sweeps.training import TrainedModel, TrainingStage, TrainingSweep
from dar_bench.sweeps.training_tables import TrainedRow, training_tables


def record(evaluator: str, value: float) -> Record:
    return Record(
        kind="reconstruction",
        model=Model(name="trained", weights_sha256="ab" * 32),
        samples=100,
        evaluator=Evaluator(name=evaluator, extractor="toy", reference="dots:val"),
        scores=[Score(name=f"rFD[{evaluator}]", value=value, stderr=0.5, n=100, protocol="toy")],
    )


def row(beta: str, *records: Record) -> TrainedRow:
    trained = TrainedModel(row={"beta": beta}, stage="tokenizer", folder=Path(beta))
    result = RowResult(row=cast(Any, None), records=list(records), measurement=cast(Any, None))
    return TrainedRow(trained=trained, result=result, paths=[])


def test_an_evaluator_that_could_not_score_a_row_leaves_its_cell_empty() -> None:
    sweep = TrainingSweep(
        stages=(TrainingStage(name="tokenizer", command="tokenizer", arguments=()),),
        rows=({"beta": "1"}, {"beta": "2"}),
        options={},
        base=SweepSpec(model="", rows=(), swept=()),
    )
    found = [row("1", record("one", 3.0), record("other", 4.0)), row("2", record("one", 5.0))]
    tables = {title: rows for title, _, rows in training_tables(sweep, found)}
    assert tables["tokenizer: 100 images, one"] == [["1", "3.00 ± 0.50"], ["2", "5.00 ± 0.50"]]
    assert tables["tokenizer: 100 images, other"] == [["1", "4.00 ± 0.50"], ["2", ""]]


@pytest.mark.parametrize(
    ("state", "given", "expected"),
    [
        ("present", "", ("native",)),
        ("to fetch", "", ("embedded",)),
        ("present", 'evaluators = ["embedded", "cmmd"]', ("embedded", "cmmd")),
    ],
)
def test_a_file_that_names_no_evaluator_is_measured_as_everything_else(
    state: str, given: str, expected: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "status", lambda card: state)
    path = tmp_path / "sweep.toml"
    path.write_text(f'[sweep]\nmodel = ["a", "b"]\n{given}\n[grid]\ncfg = [1, 2]\n')
    assert [spec.evaluators for spec in read_sweep_file(path, LoadOptions()).specs] == [expected] * 2
