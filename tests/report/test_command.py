from __future__ import annotations

import json
from pathlib import Path

import pytest

from dar_bench.cli.main import run


def test_the_command_writes_the_page_and_says_what_is_in_it(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "page.html"
    assert run(["report", "--folder", str(folder), "-o", str(output), "--no-published", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["records"], said["pictures"], len(said["problems"])) == (19, 1, 1)
    assert output.read_text().startswith("<!doctype html>")


def test_samples_are_made_on_request_and_are_the_same_again(tmp_path: Path) -> None:
    pages = [tmp_path / "one.html", tmp_path / "two.html"]
    (tmp_path / "empty").mkdir()
    for path in pages:
        arguments = ["report", "--folder", str(tmp_path / "empty"), "--sample", "dar-tiny", "--cfg", "1.5"]
        assert run([*arguments, "-o", str(path)]) == 0
    one, two = (path.read_text().partition("data:image/png;base64,")[2].partition('"')[0] for path in pages)
    assert len(one) > 10_000
    assert one == two
    assert "guidance 1.5, seed 0" in pages[0].read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--folder", "nowhere"], "There is no folder of records 'nowhere'."),
        (["--folder", "."], "There is nothing to report in .."),
        (["--folder", ".", "--sample", "dar-tinny"], "dar-tiny"),
    ],
)
def test_what_cannot_be_reported_is_one_message_and_no_file(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["report", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_published_tables_stand_beside_the_records(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "page.html"
    assert run(["report", "--folder", str(folder), "-o", str(output)]) == 0
    text = output.read_text()
    assert "D-AR Table 3" in text
    assert "maskgit" in text
    assert text.count('data-family="mask-based"') == 1
