"""``dar-bench doctor`` as a user runs it, calibration included, on small files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dar_bench.cli.main import run
from dar_bench.doctor import calibration

SCORES = ("FD[efficientnet-lite0]", "precision[efficientnet-lite0]")


@pytest.fixture
def batches(tmp_path: Path) -> tuple[str, str]:
    random = np.random.default_rng(0)
    paths = []
    for name, base in (("reference", 90), ("samples", 110)):
        images = random.integers(0, 60, (24, 16, 16, 3)) + random.integers(0, base, (24, 1, 1, 3))
        np.savez(tmp_path / f"{name}.npz", images.astype(np.uint8))
        paths.append(str(tmp_path / f"{name}.npz"))
    return paths[0], paths[1]


def measured(
    batches: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> dict[str, float]:
    """The scores by another command."""
    arguments = ["--json", "--device", "cpu", "--results", str(tmp_path / "results")]
    assert run(["eval", "images", *batches, *arguments]) == 0
    return {one["name"]: one["value"] for one in json.loads(capsys.readouterr().out)["scores"]}


def calibrated(batches: tuple[str, str], expected: Path, *more: str) -> int:
    files = ["--reference", batches[0], "--samples", batches[1], "--expected", str(expected)]
    return run(["doctor", "--calibrate", "--device", "cpu", "--evaluator", "embedded", *files, *more])


def write(path: Path, scores: dict[str, float], tolerance: float = 1e-6) -> Path:
    path.write_text(
        json.dumps({name: {"value": value, "tolerance": tolerance} for name, value in scores.items()})
    )
    return path


def test_the_right_numbers_are_reproduced_and_wrong_ones_are_not(
    batches: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {name: value for name, value in measured(batches, tmp_path, capsys).items() if name in SCORES}
    assert len(found) == 2
    right = write(tmp_path / "right.json", found)
    assert calibrated(batches, right) == 0
    assert capsys.readouterr().out.count(" ok") == 2
    wrong = write(tmp_path / "wrong.json", {**found, SCORES[0]: found[SCORES[0]] + 1e-3})
    assert calibrated(batches, wrong, "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert not told["ok"]
    by_name = {one["score"]: one for one in told["comparisons"]}
    assert by_name[SCORES[0]]["difference"] == pytest.approx(-1e-3, rel=1e-6)
    assert (by_name[SCORES[0]]["ok"], by_name[SCORES[1]]["ok"]) == (False, True)
    lax = write(tmp_path / "lax.json", {SCORES[0]: found[SCORES[0]] + 1e-3}, tolerance=2e-3)
    assert calibrated(batches, lax) == 0


def test_a_score_that_is_not_measured_is_no_success(
    batches: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrated(batches, write(tmp_path / "other.json", {"FID": 3.9})) == 1
    assert "not scored" in capsys.readouterr().out


def test_without_an_evaluator_of_the_protocol_the_reasons_are_told(
    batches: tuple[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "PROTOCOL", ("cmmd",))
    assert run(["doctor", "--calibrate", "--reference", batches[0], "--samples", batches[1]]) == 2
    printed = capsys.readouterr().err
    assert "No evaluator of ADM's protocol works" in printed
    assert "clip-vitl14-336" in printed


def test_published_files_are_fetched_unless_offline(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DAR_BENCH_OFFLINE", "1")
    assert run(["doctor", "--calibrate"]) == 2
    assert "downloads are off" in capsys.readouterr().err
    assert run(["doctor", "--calibrate", "--reference", "x.npz"]) == 2
    assert "admnet_guided_upsampled_imagenet256.npz" in capsys.readouterr().err


def test_the_published_scores_are_those_of_openais_documentation() -> None:
    assert {name: one.value for name, one in calibration.PUBLISHED.items()} == {
        "FID": 3.9425574129223264,
        "sFID": 6.140433703346162,
        "IS": 215.8370361328125,
        "precision": 0.8265,
        "recall": 0.5309,
    }


def test_quick_look_with_requirements(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--quick", "--require", "embedded,dar-tiny", "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    assert "Python" in printed and "emoji64:val" in printed and "measures with efficientnet-lite0@" in printed
    assert run(["doctor", "--quick", "--require", "dar-l", "--require", "dar-tiny", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["unmet"] == ["dar-l"]
    assert {"area", "name", "state", "detail", "remedy"} == set(told["checks"][0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--quick", "--require", "embeded"], "Did you mean 'embedded'?"),
        (["--samples", "x.npz"], "--samples goes with --calibrate only"),
        (["--calibrate", "--quick"], "do not go with --calibrate"),
        (["--calibrate", "--expected", "nowhere.json"], "nowhere.json"),
    ],
)
def test_wrong_use(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("text", ["[]", "{}", '{"FID": 3}', "no json", '{"FID": {"value": 1}}'])
def test_expected_scores_of_another_form(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.json").write_text(text)
    assert run(["doctor", "--calibrate", "--expected", str(tmp_path / "x.json")]) == 2
    assert "x.json" in capsys.readouterr().err
