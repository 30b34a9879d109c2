"""`plugins check`, `plugins new` and `plugins guide` as a user types them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dar_bench.conformance.rules import Finding

Command = Callable[..., tuple[int, str, str]]


def test_check_says_what_holds_and_what_does_not_apply(dar_bench: Command, zoo: object) -> None:
    status, out, _ = dar_bench(
        "plugins", "check", "small", "--rule", "layout", "--rule", "names", "--rule", "reported"
    )
    lines = [line.split() for line in out.splitlines()]
    assert status == 0
    assert ["plugin", "small", "holds", "names", "2", "model", "names,", "each", "claimed", "once"] in lines
    assert out.splitlines()[-1] == "1 hold, 0 fail, 4 do not apply."


def test_a_rule_that_does_not_hold_exits_with_1_and_points_into_the_guide(
    dar_bench: Command, zoo: object
) -> None:
    status, out, _ = dar_bench("plugins", "check", "small-tokenizer", "--rule", "card-complete")
    assert status == 1
    assert "count_parameters is empty" in out
    assert "- " not in out.split("guide.md line ")[1][:40]
    assert "**card-complete**: summary (one line)" in out
    status, out, _ = dar_bench("plugins", "check", "small-tokenizer", "--rule", "card-complete", "--json")
    assert status == 1
    (finding,) = [Finding(**facts) for facts in json.loads(out)]
    assert (finding.rule, finding.subject, finding.outcome) == (
        "card-complete",
        "model small-tokenizer",
        "fails",
    )


def test_unknown_plugins_and_rules_suggest(dar_bench: Command) -> None:
    status, _, errors = dar_bench("plugins", "check", "dar-tini")
    assert status == 2
    assert "Did you mean 'dar-tiny'?" in errors
    status, _, errors = dar_bench("plugins", "check", "dar", "--rule", "parameter")
    assert status == 2
    assert "Did you mean 'parameters'?" in errors


def test_guide_by_section_and_rule(dar_bench: Command) -> None:
    _, whole, _ = dar_bench("plugins", "guide")
    assert whole.startswith("# Writing a plugin")
    _, section, _ = dar_bench("plugins", "guide", "weights")
    assert section.startswith("## Weights")
    assert "## Tokenizers" not in section
    _, facts, _ = dar_bench("plugins", "guide", "--json")
    line = json.loads(facts)["rules"]["seeds"]
    _, rule, _ = dar_bench("plugins", "guide", "seeds")
    assert rule == whole.splitlines()[line - 1] + "\n"
    status, _, errors = dar_bench("plugins", "guide", "wieghts")
    assert status == 2
    assert "Did you mean 'weights'?" in errors


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("My_Model", "is no name for a plugin"),
        ("-", "is no name for a plugin"),
        ("json", "A Python module 'json' is installed already"),
        ("class", "is a keyword of Python"),
        ("dar-tiny", "is taken by an installed plugin"),
    ],
)
def test_new_refuses_bad_and_taken_names(dar_bench: Command, tmp_path: Path, name: str, reason: str) -> None:
    status, _, errors = dar_bench("plugins", "new", "--folder", tmp_path / "in", "--", name)
    assert status == 2
    assert reason in errors
    assert not (tmp_path / "in").exists()


def test_new_replaces_nothing(dar_bench: Command, tmp_path: Path) -> None:
    (tmp_path / "my-model").mkdir()
    (tmp_path / "my-model" / "thesis.tex").write_text("years of work")
    status, _, errors = dar_bench("plugins", "new", "my-model", "--folder", tmp_path)
    assert status == 2
    assert "exists already" in errors
    assert [path.name for path in tmp_path.rglob("*")] == ["my-model", "thesis.tex"]


def test_a_project_whose_weights_cannot_be_made_leaves_nothing(
    dar_bench: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "dar_bench.scaffold.project._named", lambda text, name: text.replace("torch", "no_torch")
    )
    status, _, errors = dar_bench("plugins", "new", "my-model", "--folder", tmp_path)
    assert status == 2
    assert "weights could not be made" in errors
    assert "no_torch" in errors
    assert list(tmp_path.iterdir()) == []
