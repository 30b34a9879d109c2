from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from dar_bench import console


def test_a_piped_table_is_aligned_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("dar-l", 342910976, "FD[efficientnet-lite0]"), ("x", 5, None)]
    console.print_table(("model", "parameters", "score"), rows, title="The zoo", right=("parameters",))
    assert capsys.readouterr().out == (
        "The zoo\nmodel  parameters  score\ndar-l   342910976  FD[efficientnet-lite0]\nx               5\n"
    )


def test_long_cells_are_neither_wrapped_nor_cut_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_table(("address",), [("x" * 300,)])
    console.console.print("y" * 300)
    assert capsys.readouterr().out.splitlines() == ["address", "x" * 300, "y" * 300]


def test_a_terminal_gets_a_frame_and_keeps_brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=60, markup=False, color_system=None)
    monkeypatch.setattr(console, "console", terminal)
    console.print_table(("score", "value"), [("FD[efficientnet-lite0]", 1.5)], right=("value",))
    text = screen.getvalue()
    assert "FD[efficientnet-lite0]" in text
    assert "─" in text


def test_piped_progress_says_its_end_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_PLAIN_INTERVAL_S", 0.0)  # every unit is told, the last one too
    with console.progress("Scoring", 2) as bar:
        bar.advance()
        bar.advance()
    assert [line.partition(" (")[0] for line in capsys.readouterr().err.splitlines()] == [
        "Scoring: 1/2",
        "Scoring: 2/2",
    ]


def test_piped_progress_says_where_it_ended(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress("Sampling", 4) as bar:
        for _ in range(4):
            bar.advance()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "Sampling: 4/4 (0 s)\n"


def test_piped_progress_speaks_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    with console.progress("Encoding", 100) as bar:
        for i in range(100):
            now[0] += 0.25
            bar.advance()
            if i == 60:
                bar.describe("Decoding")
    assert capsys.readouterr().err.splitlines() == [
        "Encoding: 40/100 (10 s)",
        "Decoding: 80/100 (20 s)",
        "Decoding: 100/100 (25 s)",
    ]


def test_terminal_progress_shows_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(console, "messages", Console(file=screen, force_terminal=True, width=80))
    with console.progress("Sampling[x]", 3) as bar:
        bar.advance(2)
        bar.describe("Decoding[x]")
    assert "Decoding[x]" in screen.getvalue()
    assert "2/3" in screen.getvalue()


def test_json_is_json_alone(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_json({"name": "é", "values": [1, None]})
    text = capsys.readouterr().out
    assert json.loads(text) == {"name": "é", "values": [1, None]}
    assert "é" in text


def test_a_narrow_terminal_does_without_optional_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    columns, row = ("model", "family", "score"), ("a-long-model-name", "vanilla AR", "2.44")

    def shown(width: int) -> str:
        screen = io.StringIO()
        terminal = Console(file=screen, force_terminal=True, width=width, markup=False, color_system=None)
        with monkeypatch.context() as patch:
            patch.setattr(console, "console", terminal)
            console.print_table(columns, [row], optional=("family",))
        return screen.getvalue()

    assert "vanilla AR" in shown(38)
    assert "Not shown" not in shown(38)
    narrow = shown(37)
    assert "a-long-model-name" in narrow
    assert "vanilla" not in narrow
    assert "Not shown at this width: family." in narrow
    console.print_table(columns, [row], optional=("family",))
    assert "vanilla AR" in capsys.readouterr().out


def test_names_with_colons_are_not_taken_for_emoji_codes(capsys: pytest.CaptureFixture[str]) -> None:
    console.note("Reading emoji64:train: 3/4")
    console.console.print("emoji64:train: read")
    captured = capsys.readouterr()
    assert captured.err == "Reading emoji64:train: 3/4\n"
    assert captured.out == "emoji64:train: read\n"
