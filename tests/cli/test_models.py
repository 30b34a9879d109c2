from __future__ import annotations

import json
from pathlib import Path

import pytest

from dar_bench import plugins
from dar_bench.api import GeneratorCard, Option, Plugin, ReportedScore, TokenizerCard, WeightsFile
from dar_bench.cli.main import run
from dar_bench.plugins import PluginStatus, Registry

TOKENIZER = TokenizerCard(
    name="toy-tokenizer",
    family="tokenizer",
    summary="Sixteen codes.",
    parameters=1234567,
    image_size=64,
    tokens=32,
    codebook_size=16,
    load="toy:load",
    weights=WeightsFile(filename="tok.safetensors", bundled="toy:tok.safetensors"),
    reported=(ReportedScore(source="a paper", row="Table 1", scores={"rFID": 1.52, "PSNR": 20.1}),),
)
GENERATOR = GeneratorCard(
    name="toy-l",
    aliases=("toy",),
    family="vanilla AR",
    summary="A toy.",
    parameters=343,
    image_size=64,
    num_classes=10,
    tokenizer="toy-tokenizer",
    load="toy:load",
    options=(Option(name="top-k", type="int", default=None, help="keep the k likeliest", minimum=1),),
    weights=WeightsFile(filename="toy-l.pt", url="https://weights.example/toy-l.pt", size=10, license="MIT"),
    reported=(
        ReportedScore(
            source="a paper", row="Table 3", scores={"FID": 2.44, "IS": 262.97}, options={"cfg": "4"}
        ),
        ReportedScore(source="a paper", row="Table 4", scores={"FID": 3.0}),
    ),
    config={"dim": 8, "dtype": object},
)


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    status = PluginStatus(
        name="toy",
        distribution="toy-dist",
        version="1",
        plugin=Plugin(name="toy", cards=(TOKENIZER, GENERATOR)),
    )
    broken = PluginStatus(
        name="bad", distribution="bad-dist", version="2", plugin=None, error="OSError: gone"
    )
    registry = Registry([status, broken])
    for module in (plugins, __import__("dar_bench.cli.models", fromlist=["registry"])):
        monkeypatch.setattr(module, "registry", lambda: registry)
    monkeypatch.setattr("dar_bench.zoo.shipped_folder", lambda: tmp_path / "reported")
    monkeypatch.chdir(tmp_path)


def test_the_zoo_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models"]) == 0
    captured = capsys.readouterr()
    lines = [line.split() for line in captured.out.splitlines()]
    assert lines[2] == [
        *("toy-tokenizer", "tokenizer", "1.2M", "64", "32", "16", "bundled", "installed", "rFID", "1.52")
    ]
    assert lines[3] == [
        *("toy-l", "vanilla", "AR", "0.0M", "64", "32", "16", "toy-tokenizer", "to", "fetch"),
        *("installed", "FID", "2.44"),
    ]
    assert captured.err == "The plugin 'bad' (bad-dist) did not load: OSError: gone\n"


def test_the_zoo_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "--json"]) == 0
    zoo = {facts["name"]: facts for facts in json.loads(capsys.readouterr().out)}
    assert zoo["toy-l"]["kind"] == "generator"
    assert zoo["toy-l"]["weights_status"] == "to fetch"
    assert zoo["toy-l"]["reported"][0]["scores"] == {"FID": 2.44, "IS": 262.97}
    assert zoo["toy-l"]["config"]["dim"] == 8
    assert zoo["toy-tokenizer"]["tokens"] == 32


def test_one_card_by_alias(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "toy"]) == 0
    page = capsys.readouterr().out
    for expected in (
        "toy-l",
        "https://weights.example/toy-l.pt",
        "MIT",
        "top-k   integer, at least 1",
        "keep the k likeliest",
        "FID 2.44, IS 262.97",
        "cfg=4",
    ):
        assert expected in page
    assert run(["models", "toy", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["num_classes"] == 10


def table(folder: Path) -> None:
    rows = [
        {"row": "Toy-L", "model": {"name": "toy", "family": "vanilla AR"}, "scores": {"FID": 2.4}},
        {
            "row": "Far",
            "model": {"name": "far", "family": "diffusion", "parameters": 7000000},
            "scores": {"FID": 9.0},
        },
    ]
    folder.mkdir()
    (folder / "t.json").write_text(json.dumps({"table": "A Table 3", "common": {}, "rows": rows}))


def test_a_model_without_a_plugin_is_reported_only_and_never_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table(tmp_path / "reported")
    assert run(["models", "--json"]) == 0
    zoo = {facts["name"]: facts for facts in json.loads(capsys.readouterr().out)}
    assert list(zoo) == ["toy-tokenizer", "far", "toy-l"]  # by family; the alias 'toy' is no second model
    assert zoo["far"]["standing"] == "reported only"
    assert "weights_status" not in zoo["far"]
    assert [report["source"] for report in zoo["toy-l"]["reported"]] == ["a paper", "a paper", "A Table 3"]
    assert run(["models", "far"]) == 0
    page = capsys.readouterr().out
    assert "no installed plugin brings this model" in page
    assert "7M, as printed" in page
    assert run(["models", "--standing", "reported only"]) == 0
    assert "toy-l" not in capsys.readouterr().out
    assert run(["models", "--family", "vanilla AR", "--json"]) == 0
    assert [facts["name"] for facts in json.loads(capsys.readouterr().out)] == ["toy-l"]


def test_a_measured_record_makes_an_installed_model_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = tmp_path / "results" / "deep"
    records.mkdir(parents=True)
    record = {"origin": "measured", "kind": "generation", "created": "2026-01-01", "model": {"name": "toy"}}
    scores = [{"name": "PSNR", "value": 9.0, "n": 5}, {"name": "FD[x]", "value": 31.25, "n": 50}]
    (records / "a.json").write_text(json.dumps({**record, "scores": scores}))
    (records / "b.json").write_text(json.dumps({**record, "scores": scores, "model": {"name": "elsewhere"}}))
    (records / "c.json").write_text("[]")
    assert run(["models"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("toy-l")]
    assert "measured" in line
    assert "FD[x] 31.25 (50)" in line
    assert run(["models", "--standing", "measured", "--json"]) == 0
    (facts,) = json.loads(capsys.readouterr().out)
    assert facts["measured"] == [{"score": "FD[x]", "value": 31.25, "n": 50, "file": "results/deep/a.json"}]


def test_the_papers_tables_are_whole() -> None:
    from dar_bench.results.published import shipped_folder as really_shipped
    from dar_bench.results.published import table_rows

    tables = {}
    for path in really_shipped().glob("*.json"):
        data = json.loads(path.read_text())
        tables[data["table"]] = table_rows(data)
    assert len(tables["D-AR Table 1"]) == 6
    assert len(tables["D-AR Table 3"]) == 25
