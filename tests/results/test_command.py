"""``dar-bench results`` as a user calls it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dar_bench.cli.main import run
from dar_bench.cli.results import list_records
from dar_bench.results.record import Model, Record
from dar_bench.results.store import DEFAULT_FOLDER, RecordStore

MakeRecord = Callable[..., Record]


@pytest.fixture
def folder(tmp_path: Path, make_record: MakeRecord) -> Path:
    store = RecordStore(tmp_path / "records")
    store.write(make_record())
    store.write(make_record(kind="reconstruction", model=Model(name="other", weights_sha256="0" * 64)))
    (store.folder / "generation-x-000000000001.json").write_text("{")
    return store.folder


def test_list(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["results", "list", "--folder", str(folder)]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 5
    assert "FD[toy]" in out and "12.35 ± 0.25" in out
    assert "generation-x-000000000001.json" in err and "not JSON" in err


def test_list_filters(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["results", "list", "--folder", str(folder), "--json", "--score", "fd"]
    assert run([*command, "--kind", "reconstruction"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(row["model"], row["score"]) for row in found] == [("other", "FD[toy]")]
    assert run([*command, "--model", "dar-tiny"]) == 0
    assert [row["model"] for row in json.loads(capsys.readouterr().out)] == ["dar-tiny"]


def test_show(folder: Path, make_record: MakeRecord, capsys: pytest.CaptureFixture[str]) -> None:
    digits = make_record().content_hash()[:6]
    assert run(["results", "show", digits, "--folder", str(folder)]) == 0
    out = capsys.readouterr().out
    for text in ("dar-tiny", "option cfg", "linear:1.1-8.0", "emoji64:train", "12.35 ± 0.25", "1,234,567"):
        assert text in out
    assert run(["results", "show", digits, "--folder", str(folder), "--json"]) == 0
    assert Record.model_validate_json(capsys.readouterr().out) == make_record()


def test_show_a_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = next(path for path in folder.iterdir() if "other" in path.name)
    assert run(["results", "show", str(path)]) == 0
    assert "other" in capsys.readouterr().out


def test_export(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "new" / "scores.csv"
    assert run(["results", "export", "--folder", str(folder), "-o", str(target)]) == 0
    assert len(target.read_text().splitlines()) == 5
    assert run(["results", "export", "--folder", str(folder), "--format", "markdown"]) == 0
    assert capsys.readouterr().out.startswith("| record |")


def test_mistakes_are_one_message(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["results", "list", "--folder", str(tmp_path / "nowhere")]) == 2
    assert "no folder of records" in capsys.readouterr().err
    assert run(["results", "show", "zzz", "--folder", str(folder)]) == 2
    assert "No record 'zzz'" in capsys.readouterr().err
    assert run(["results", "export", "--format", "xml"]) == 2


def test_default_folder_is_that_of_the_store() -> None:
    option = next(parameter for parameter in list_records.params if parameter.name == "folder")
    assert option.default == DEFAULT_FOLDER


def test_help_pages_have_examples(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ([], ["list"], ["show"], ["export"]):
        assert run(["results", *command, "--help"]) == 0
        assert "Example" in capsys.readouterr().out
    assert inspect.getdoc(list_records.callback)


def test_reported_records_come_with_the_package(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = str(tmp_path / "nowhere")
    command = ["results", "list", "--folder", nowhere, "--origin", "reported", "--json"]
    assert run([*command, "--model", "dar-l", "--score", "FID", "--option", "tokens=64"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(row["source"], row["value"]) for row in found] == [("D-AR Table 5, 64 tokens", 7.38)]
    assert run(["results", "list", "--folder", nowhere]) == 2
    assert run(["results", "list", "--folder", nowhere, "--origin", "reported", "--option", "tokens"]) == 2
    assert "NAME=VALUE" in capsys.readouterr().err


def test_a_published_row_is_shown_by_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = ["--folder", str(tmp_path / "nowhere")]
    assert run(["results", "show", "D-AR Table 3, D-AR-L", *folder]) == 0
    shown = capsys.readouterr().out
    assert "according to the published script" in shown and "linear:1.2-8.0" in shown
    assert run(["results", "show", "D-AR Table 4, none", *folder]) == 2
    assert "dar-xl, D-AR Table 4, none" in capsys.readouterr().err
    assert run(["results", "show", "dar-xl, D-AR Table 4, none", *folder, "--json"]) == 0
    assert Record.model_validate_json(capsys.readouterr().out).score("FID").value == 5.11  # type: ignore[union-attr]


def test_pareto(tmp_path: Path, make_record: MakeRecord, capsys: pytest.CaptureFixture[str]) -> None:
    store = RecordStore(tmp_path)
    for steps, fd, seconds in ((4, 20.0, 5.0), (8, 12.0, 10.0), (16, 14.0, 20.0)):
        score = {"name": "FD[toy]", "value": fd, "stderr": 0.25, "n": 500, "protocol": "p"}
        store.write(make_record(options={"steps": steps}, scores=[score], cost={"model_seconds": seconds}))
    elsewhere = {"name": "FD[toy]", "value": 1.0, "stderr": 0.25, "n": 500, "protocol": "another"}
    store.write(make_record(scores=[elsewhere], cost={"model_seconds": 1.0}))
    command = ["results", "pareto", "--folder", str(tmp_path), "--score", "FD[toy]", "--cost", "seconds"]
    assert run([*command, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["options"], row["cost"], row["value"]) for row in rows] == [
        ("steps 4", 0.01, 20.0),
        ("steps 8", 0.02, 12.0),
    ]
    assert run([*command, "--all"]) == 0
    assert "14.00 ± 0.25" in capsys.readouterr().out
    assert run([*command[:-1], "flops"]) == 2
    assert "FLOPs per image" in capsys.readouterr().err


def test_latex(tmp_path: Path, make_record: MakeRecord, capsys: pytest.CaptureFixture[str]) -> None:
    store = RecordStore(tmp_path)
    store.write(
        make_record(model=Model(name="a_b & 50%", weights_sha256="0" * 64), options={"cfg": "x^2~{y}"})
    )
    assert run(["results", "export", "--folder", str(tmp_path), "--format", "latex", "--score", "FD"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        r"% needs \usepackage{booktabs}",
        r"\begin{tabular}{llrr}",
        r"\toprule",
        r"Model & Options & $n$ & FD{[}toy{]} \\",
        r"\midrule",
        r"a\_b \& 50\% & cfg x\textasciicircum{}2\textasciitilde{}\{y\} & 500 & $12.35 \pm 0.25$ \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]
