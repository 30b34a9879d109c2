"""No rule is vacuous: a sound plugin keeps all of them, and for each there is a plugin that it catches."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dar_bench.conformance import precision_rules
from dar_bench.conformance.bench import Bench
from dar_bench.conformance.guide import rule_lines
from dar_bench.conformance.rules import RULES, Finding
from dar_bench.conformance.suite import check_plugin, find_plugin
from dar_bench.scaffold.project import KINDS

Install = Callable[[Path], None]
Breakage = dict[str, Any]

BREAKAGES = tomllib.loads((Path(__file__).parent / "breakages.toml").read_text())["breakage"]


def findings(*rules: str) -> list[Finding]:
    status, _ = find_plugin("my-model")
    with Bench() as bench:
        return list(check_plugin(status, bench, rules=rules))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("kind", [*KINDS, "autoencoder"])
def test_a_sound_plugin_keeps_every_rule(kind: str, project: Callable[[str], Path], install: Install) -> None:
    install(project(kind))
    found = findings()
    assert [finding for finding in found if finding.outcome == "fails"] == []
    assert {finding.rule for finding in found if finding.outcome == "holds"} >= {
        "parameters",
        "layout",
        "names",
    }


@pytest.mark.parametrize(
    "breakage", BREAKAGES, ids=lambda breakage: f"{breakage['rule']}: {breakage['finding']}"
)
def test_a_broken_plugin_is_caught(
    breakage: Breakage, project: Callable[[str], Path], install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project(breakage["kind"])
    for edit in breakage["edits"]:
        path = folder / "my_model" / edit["file"]
        assert edit["text"] in path.read_text()
        path.write_text(path.read_text().replace(edit["text"], edit["becomes"]))
    if breakage["rule"].endswith("-cuda"):
        # Where there is no such device, another name of the CPU stands for it: the rule is the same.
        monkeypatch.setattr(precision_rules, "_need_cuda", lambda: None)
        monkeypatch.setattr(precision_rules, "CUDA", "cpu:0")
    install(folder)
    failed = [finding for finding in findings(breakage["rule"]) if finding.outcome == "fails"]
    assert failed, f"{breakage['rule']} was not broken"
    assert any(breakage["finding"] in finding.detail for finding in failed), failed


def test_the_rules_of_autoencoders_run_one(project: Callable[[str], Path], install: Install) -> None:
    install(project("autoencoder"))
    own = [rule.id for rule in RULES.values() if rule.scope == "autoencoder"]
    assert [(finding.rule, finding.outcome) for finding in findings(*own)] == [
        (name, "holds") for name in own
    ]


def test_every_rule_has_a_breakage_and_a_line_in_the_guide() -> None:
    assert {breakage["rule"] for breakage in BREAKAGES} == set(RULES)
    assert set(rule_lines()) == set(RULES)
    assert all(rule.title.endswith(".") for rule in RULES.values())
