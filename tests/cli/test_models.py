from __future__ import annotations

import json

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
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_the_zoo_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models"]) == 0
    captured = capsys.readouterr()
    lines = [line.split() for line in captured.out.splitlines()]
    assert lines[2] == [*("toy-tokenizer", "tokenizer", "1.2M", "64", "32", "16", "bundled", "rFID", "1.52")]
    assert lines[3] == [
        *("toy-l", "vanilla", "AR", "0.0M", "64", "32", "16", "toy-tokenizer", "to", "fetch", "FID", "2.44")
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
