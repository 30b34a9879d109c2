"""This project's own gate: the shipped model, measured again, gives the recorded numbers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dar_bench.checks.specification import read_checks
from dar_bench.cli.main import run
from dar_bench.results.selection import find_record
from dar_bench.results.store import RecordStore
from dar_bench.sketches import read_sketch

ROOT = Path(__file__).parents[2]
FILE, RESULTS = ROOT / "checks.toml", ROOT / "results"


def test_the_shipped_model_still_gives_its_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some samples of it are also verified by the sketch, and a record that was tampered with is found out."""
    (gate,) = [check for check in read_checks(FILE) if not check.optional]
    common = ["check", gate.name, "--folder", str(RESULTS), "--device", "cpu", "--json"]
    junit = tmp_path / "check.xml"
    status = run([*common, "--file", str(FILE), "--junit", str(junit)])
    (outcome,) = json.loads(capsys.readouterr().out)
    assert outcome["verdict"] == "matches", outcome["reason"]
    assert status == 0 and 'failures="0"' in junit.read_text()
    assert len(outcome["scores"]) >= 6 and outcome["samples"]["samples"] == 200

    # The same measurement against a record that claims more fails.
    stored = find_record(gate.expect, RESULTS)
    scores = [
        score.model_copy(update={"value": score.value - 0.7 * score.stderr})
        if score.name.startswith("FD[")
        else score
        for score in stored.record.scores
        if score.stderr is not None
    ]
    better = stored.record.model_copy(update={"scores": scores, "samples": stored.record.samples})
    path = RecordStore(tmp_path / "claims").write(better)
    shutil.copy(stored.path.parent / f"sketch-{str(better.sketch)[:12]}.safetensors", path.parent)
    claims = tmp_path / "claims.toml"
    claims.write_text(f'[[check]]\nname = "claim"\nexpect = "{path.stem}"\n')
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert run(["check", "--file", str(claims), "--folder", str(path.parent), "--device", "cpu"]) == 1
    assert "::error title=dar-bench check%3A claim%3A drifted" in capsys.readouterr().out


def test_its_samples_verify(capsys: pytest.CaptureFixture[str]) -> None:
    (gate,) = [check for check in read_checks(FILE) if not check.optional]
    command = [
        "results",
        "verify",
        gate.expect,
        "--folder",
        str(RESULTS),
        "--device",
        "cpu",
        "--samples",
        "20",
    ]
    assert run([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["passed"] and found["samples"] == 20
    stored = find_record(gate.expect, RESULTS)
    assert len(read_sketch(stored.path, stored.record.sketch)) == 200


def test_other_weights_and_missing_sketches_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (gate,) = [check for check in read_checks(FILE) if not check.optional]
    stored = find_record(gate.expect, RESULTS)
    other = stored.record.model_copy(
        update={"model": stored.record.model.model_copy(update={"weights_sha256": "0" * 64})}
    )
    path = RecordStore(tmp_path).write(other)
    assert run(["results", "verify", str(path)]) == 2
    assert "cannot be opened" in capsys.readouterr().err
    shutil.copy(stored.path.parent / f"sketch-{str(other.sketch)[:12]}.safetensors", tmp_path)
    assert run(["results", "verify", str(path)]) == 2
    assert "are not those of the record" in capsys.readouterr().err


def test_published_numbers_say_plainly_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["check", "D-AR-L, Table 3", "--file", str(FILE), "--folder", str(RESULTS), "--json"]
    assert run(command) == 0
    (outcome,) = json.loads(capsys.readouterr().out)
    assert (
        outcome["verdict"] == "not comparable"
        and "weights of 'dar-l' are not on this machine" in outcome["reason"]
    )


def test_wrong_use_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "checks.toml"
    path.write_text('[[check]]\nname = "a"\nexpect = "no-such-record"\n')
    assert run(["check", "--file", str(path), "--folder", str(RESULTS)]) == 2
    assert "No record 'no-such-record'" in capsys.readouterr().err
    path.write_text('[[check]]\nname = "a"\nexpect = "D-AR Table 3, D-AR-L"\noptions = { cgf = "1.5" }\n')
    assert run(["check", "--file", str(path), "--folder", str(RESULTS)]) == 2
    assert "has no option 'cgf'" in capsys.readouterr().err
    assert run(["check", "--list", "--file", str(FILE)]) == 0
    assert "D-AR Table 3, D-AR-XL" in capsys.readouterr().out
