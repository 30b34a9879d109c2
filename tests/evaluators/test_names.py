from __future__ import annotations

from pathlib import Path

import pytest

from dar_bench.errors import UserError
from dar_bench.evaluation import scoring
from dar_bench.evaluation.scoring import load_panel
from dar_bench.evaluators import names
from dar_bench.evaluators.embedded import EmbeddedEvaluator
from dar_bench.evaluators.names import how_to_get_fid, load_evaluator, named_evaluators
from dar_bench.features.cards import INCEPTION
from dar_bench.weights import store_path


class OfPlugins:
    def components(self, kind: str) -> dict[str, str]:
        return {"mine": "somewhere:Mine", "broken": "somewhere:object"} if kind == "evaluators" else {}


class Mine(EmbeddedEvaluator):
    def __init__(self, device: str):
        super().__init__()
        self.name = f"mine on {device}"


def missing(device: str) -> None:
    raise UserError("The package mine is not installed.", hint="Install it.")


@pytest.fixture(autouse=True)
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    targets = {
        "somewhere:Mine": Mine,
        "somewhere:object": lambda device: object(),
        "somewhere:missing": missing,
        "somewhere:embedded": EmbeddedEvaluator,
    }
    monkeypatch.setattr(names, "CORE", {"embedded": "somewhere:embedded"})
    monkeypatch.setattr(names, "registry", OfPlugins)
    monkeypatch.setattr(names, "load_object", targets.__getitem__)


def test_plugins_bring_their_own() -> None:
    assert load_evaluator("mine", "cuda:1").name == "mine on cuda:1"


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(UserError, match="Unknown evaluator 'embeded'. Did you mean 'embedded'"):
        load_evaluator("embeded")


def test_the_embedded_protocol_takes_any_extractor() -> None:
    evaluator = load_evaluator("embedded:efficientnet-lite0")
    assert evaluator.name == "embedded:efficientnet-lite0"
    with pytest.raises(UserError, match="Unknown feature extractor 'efficientnet'"):
        load_evaluator("embedded:efficientnet")


def test_what_is_no_evaluator_is_named() -> None:
    with pytest.raises(TypeError, match="'somewhere:object' made a object"):
        load_evaluator("broken")


def test_all_takes_those_that_work_and_says_why_others_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"embedded": "somewhere:embedded", "mine": "somewhere:missing"}
    monkeypatch.setattr(names, "CORE", known)
    monkeypatch.setattr(scoring, "known_evaluators", lambda: known)
    panel = load_panel(["all"], "cpu")
    assert [evaluator.name for evaluator in panel.evaluators] == ["embedded"]
    assert panel.missing == {"mine": "The package mine is not installed. Install it."}
    with pytest.raises(UserError, match="mine is not installed"):
        load_panel(["all", "mine"], "cpu")


def test_all_of_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "CORE", {"mine": "somewhere:missing"})
    monkeypatch.setattr(scoring, "known_evaluators", lambda: {"mine": "somewhere:missing"})
    with pytest.raises(UserError, match="No evaluator works on this machine. mine: The package mine"):
        load_panel(["all"], "cpu")


def test_without_a_name_adm_s_protocol_measures_where_its_network_is_here(store: Path) -> None:
    assert named_evaluators(["cmmd", "adm"]) == ("cmmd", "adm")
    assert named_evaluators([]) == ("embedded",)
    assert "dar-bench weights fetch inception-2015-12-05" in how_to_get_fid(["embedded"])
    assert how_to_get_fid(["native", "embedded"]) == ""
    kept = store_path(INCEPTION)
    kept.parent.mkdir(parents=True)
    kept.touch()
    assert named_evaluators([]) == ("native",)
    assert how_to_get_fid(["embedded"]) == ""
