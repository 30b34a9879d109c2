"""What the examination finds where things work, lack and break."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dar_bench.doctor import examination, machine, packages, stores
from dar_bench.doctor.evaluators import examine_evaluators
from dar_bench.doctor.findings import Check
from dar_bench.doctor.packages import Package, examine_packages, known_bad
from dar_bench.doctor.processes import attempt
from dar_bench.errors import UserError
from dar_bench.plugins import PluginStatus, Registry
from dar_bench.references.cards import find_card, stored_path
from dar_bench.weights import store_path


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {one.name: one for one in checks}


@pytest.mark.parametrize(
    ("program", "problem"),
    [
        ("print('first'); print('last')", ""),
        ("raise ValueError('no such thing')", "ValueError: no such thing"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "the process was killed by SIGSEGV"),
        ("import sys; sys.exit(3)", "exit status 3"),
    ],
)
def test_a_trial_takes_nothing_along(program: str, problem: str) -> None:
    trial = attempt(program)
    assert (trial.ok, trial.problem) == (not problem, problem)
    assert trial.said == ("" if problem else "last")


def test_a_trial_that_hangs_is_ended() -> None:
    assert "no answer within 1 s" in attempt("import time; time.sleep(60)", timeout=1.0).problem


def test_the_machine_is_described(monkeypatch: pytest.MonkeyPatch, store: Path) -> None:
    found = by_name(machine.examine_machine())
    assert found["Python"].detail.startswith(sys.version.split()[0])
    assert "threads" in found["cpu"].detail
    assert found["cache folder"].detail == str(store)
    assert found["downloads"].state == "ok"
    monkeypatch.setenv("DAR_BENCH_OFFLINE", "1")
    monkeypatch.setattr(machine, "ENOUGH_DISK", 1 << 60)
    found = by_name(machine.examine_machine())
    assert (found["downloads"].state, found["disk"].state) == ("absent", "warning")


def test_a_cache_folder_that_cannot_be_made_is_broken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DAR_BENCH_HOME", str(tmp_path / "file" / "below"))
    found = by_name(machine.examine_machine())["cache folder"]
    assert found.state == "broken"
    assert "DAR_BENCH_HOME" in found.remedy


def test_a_torch_that_does_not_import_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    found = by_name(machine.examine_machine())
    assert found["cpu"].state == "broken"
    assert found["Python"].state == "ok"


def test_packages_are_imported_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bodies = {"good": "", "lost": "import no_such_module", "fatal": "import os; os.abort()"}
    for name, body in bodies.items():
        (tmp_path / f"{name}.py").write_text(body)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    fakes = {
        name: Package(distributions=(name,), module=name, extra=name, use="tests", alone=True)
        for name in (*bodies, "away")
    }
    monkeypatch.setattr(packages, "PACKAGES", fakes)
    monkeypatch.setattr(packages, "BAD_PAIRS", ())
    monkeypatch.setattr(packages, "_installed", lambda name: "" if name == "away" else "1.2")
    found = by_name(examine_packages())
    assert {name: one.state for name, one in found.items()} == {
        "good": "ok",
        "lost": "broken",
        "fatal": "broken",
        "away": "absent",
    }
    assert "No module named 'no_such_module'" in found["lost"].detail
    assert "SIGABRT" in found["fatal"].detail
    assert found["away"].remedy == "pip install 'dar-bench[away]'"
    quick = by_name(examine_packages(imports=False))
    assert quick["fatal"].detail == "1.2, import not tried"


@pytest.mark.parametrize(
    ("versions", "named"),
    [
        ({"clean-fid": "0.1.35", "scipy": "1.18.1"}, ["clean-fid 0.1.35 with scipy 1.18.1"]),
        ({"clean-fid": "0.1.35", "scipy": "1.17.1"}, []),
        ({"pytorch-fid": "0.3.0", "scipy": "1.18.0"}, ["pytorch-fid 0.3.0 with scipy 1.18.0"]),
        ({"torch-fidelity": "0.4.0", "numpy": "1.26.4"}, ["torch-fidelity 0.4.0 with numpy 1.26.4"]),
        ({"torch-fidelity": "0.4.0", "numpy": "1.23.5"}, []),
        (
            {"torchmetrics": "1.9.0", "torch-fidelity": "0.5.0"},
            ["torchmetrics 1.9.0 with torch-fidelity 0.5.0"],
        ),
        ({"scipy": "1.18.1"}, []),
        ({"clean-fid": "0.1.35", "scipy": "2.0.0rc1"}, ["clean-fid 0.1.35 with scipy 2.0.0rc1"]),
    ],
)
def test_pairs_that_break_are_known(versions: dict[str, str], named: list[str]) -> None:
    found = known_bad(versions)
    assert [one.name for one in found] == named
    assert all(one.state == "warning" and one.remedy for one in found)


def test_weights_that_changed_are_broken() -> None:
    from dar_bench.features.cards import EXTRACTOR_CARDS

    card = EXTRACTOR_CARDS["clip-vitb32"]
    path = store_path(card)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"something")
    path.with_name("provenance.json").write_text('{"sha256": "00"}')
    found = by_name(stores.examine_weights())
    assert found["clip-vitb32"].state == "broken"
    assert found["dinov2-vitl14"].state == "absent"
    assert found["dinov2-vitl14"].remedy == "dar-bench weights fetch dinov2-vitl14"
    assert found["dar-tiny"].state == "ok"


def test_references_and_data() -> None:
    card = find_card("adm-imagenet64")
    found = by_name(stores.examine_data())
    assert found["adm-imagenet64"].state == "absent"
    assert found["emoji64-train"].detail == "computed from emoji64:train"
    assert found["emoji64:val"].state == "ok"
    stored_path(card).parent.mkdir(parents=True)
    stored_path(card).write_bytes(b"other bytes")
    (stored_path(card).parents[1] / "known_hashes.json").write_text(f'{{"{card.url}": {{"sha256": "00"}}}}')
    assert by_name(stores.examine_data())["adm-imagenet64"].state == "broken"


def test_broken_plugins_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = PluginStatus(
        name="torn", distribution="torn-dist", version="1", plugin=None, error="ImportError: no wing"
    )
    monkeypatch.setattr(stores, "registry", lambda: Registry([broken]))
    (found,) = stores.examine_plugins()
    assert (found.state, found.detail) == ("broken", "ImportError: no wing")
    assert "torn-dist" in found.remedy


def test_evaluators_are_loaded_apart() -> None:
    found = by_name(examine_evaluators("cpu", ["cmmd"]))
    assert found["cmmd"].state == "absent"
    assert "dar-bench weights fetch clip-vitl14-336" in found["cmmd"].remedy


def test_requirements(monkeypatch: pytest.MonkeyPatch) -> None:
    def only(*states: tuple[str, str]) -> list[Check]:
        return [Check(area="packages", name=name, state=state, detail="") for name, state in states]  # type: ignore[arg-type]

    for name in ("examine_plugins", "examine_weights", "examine_data"):
        monkeypatch.setattr(examination, name, list)
    known = only(("ray", "absent"), ("lpips", "ok"), ("fid", "ok"))
    monkeypatch.setattr(examination, "examine_packages", lambda imports: known)
    evaluator = Check(area="evaluators", name="fid", state="broken", detail="")
    monkeypatch.setattr(examination, "examine_evaluators", lambda device, names=None: [evaluator])
    assert examination.examine(["lpips"]).unmet == []
    assert [one.name for one in examination.examine(["lpips", "ray", "fid"]).unmet] == ["ray", "fid"]
    with pytest.raises(UserError, match="Did you mean 'lpips'"):
        examination.examine(["lpip"])
