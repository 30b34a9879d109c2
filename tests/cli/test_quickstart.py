from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dar_bench import plugins
from dar_bench.api import GeneratorCard
from dar_bench.quickstart import steps
from dar_bench.quickstart.plan import make_plan
from dar_bench.results.store import RecordStore

Run = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.usefixtures("zoo", "tiny_extractor")

SMALL = ("quickstart", "--model", "small", "--samples", 16, "--images", 16)
SHEETS = ("classes.png", "reconstructions.png", "trajectory.png")
PREVIEWS = tuple(f"previews/group-{group}.png" for group in (1, 2, 3))


def test_the_whole_road(dar_bench: Run) -> None:
    status, out, err = dar_bench(*SMALL)
    assert status == 0, err
    for number in range(1, 8):
        assert f"Step {number} of 7: " in out
    for name in (*SHEETS, *PREVIEWS):
        assert Image.open(Path("quickstart") / name).width > 96
    listing = RecordStore("quickstart/results").read()
    assert listing.problems == ()
    kinds = [(item.record.kind, item.record.options.get("cfg")) for item in listing.records]
    assert sorted(kinds, key=str) == [
        ("generation", "2.0"),
        ("generation", "linear:1.0-4.0"),
        ("generation", "none"),
        ("reconstruction", None),
    ]
    assert all(str(item.path) in out for item in listing.records)
    table = [line.split() for line in out.splitlines() if line.startswith(("score", "FD["))]
    assert table[-2] == ["score", "cfg", "none", "cfg", "2.0", "cfg", "linear:1.0-4.0"]
    assert table[-1].count("±") == 3
    assert "FID" not in out.replace("another quantity than FID", "")
    assert "dar-bench sample small" in out
    assert json.loads(Path("quickstart/quickstart.json").read_text())["complete"] is True


def test_json_is_all_there_is_on_standard_output(dar_bench: Run) -> None:
    status, out, err = dar_bench(*SMALL, "--out", "q", "--json")
    assert status == 0
    summary = json.loads(out)
    assert "Step 7 of 7" in err
    assert [record["name"] for record in summary["records"]] == [
        "reconstruction",
        "cfg none",
        "cfg 2.0",
        "cfg linear:1.0-4.0",
    ]
    assert all(Path(file["path"]).is_file() for file in summary["files"])
    assert {record["samples"] for record in summary["records"]} == {16}


def test_the_reference_is_read_once(dar_bench: Run, tiny_extractor: Any, monkeypatch: Any) -> None:
    made: list[Any] = []

    class Counting(tiny_extractor):  # type: ignore[misc]
        def __init__(self, device: str = "cpu"):
            super().__init__(device)
            made.append(self)

    monkeypatch.setattr("dar_bench.features.efficientnet.EfficientNetLite0", Counting)
    assert dar_bench(*SMALL)[0] == 0
    reference, held_out, samples = 40, 2 * 16, 3 * 16
    assert [one.images for one in made] == [reference + held_out + samples]


def test_a_second_walk_replaces_the_first_and_nothing_else(dar_bench: Run) -> None:
    assert dar_bench(*SMALL)[0] == 0
    before = {path for path in Path("quickstart").rglob("*.json") if path.parent.name == "results"}
    Path("quickstart/notes.txt").write_text("mine")
    assert dar_bench(*SMALL, "--seed", 1)[0] == 0
    after = {path for path in Path("quickstart").rglob("*.json") if path.parent.name == "results"}
    assert len(after) == 4
    assert before.isdisjoint(after)
    assert Path("quickstart/notes.txt").read_text() == "mine"


def test_a_folder_of_something_else_is_refused(dar_bench: Run) -> None:
    Path("thesis").mkdir()
    Path("thesis/chapter.tex").write_text("words")
    status, _, err = dar_bench(*SMALL, "--out", "thesis")
    assert (status, "not empty" in err) == (2, True)
    assert [path.name for path in Path("thesis").iterdir()] == ["chapter.tex"]
    status, _, err = dar_bench(*SMALL, "--out", "thesis/chapter.tex")
    assert (status, "is a file" in err) == (2, True)


@pytest.mark.parametrize(
    ("stage", "kept"),
    [
        ("show_reconstructions", []),
        ("show_generation", ["reconstructions.png"]),
        ("score_reconstructions", ["reconstructions.png", *PREVIEWS, "classes.png", "trajectory.png"]),
    ],
)
def test_ctrl_c_in_a_stage_keeps_the_ones_before(
    dar_bench: Run, monkeypatch: pytest.MonkeyPatch, stage: str, kept: list[str]
) -> None:
    def stop(*arguments: Any, **keywords: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(steps, stage, stop)
    status, out, err = dar_bench(*SMALL)
    assert status == 130
    assert "Interrupted." in err
    assert f"Finished in quickstart: {', '.join(kept) or 'nothing yet'}." in out
    listed = json.loads(Path("quickstart/quickstart.json").read_text())
    assert (listed["complete"], listed["files"]) == (False, kept)
    files = {str(path.relative_to("quickstart")) for path in Path("quickstart").rglob("*") if path.is_file()}
    assert files == {*kept, "quickstart.json"}


def test_ctrl_c_between_schedules_keeps_the_records_so_far(
    dar_bench: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = steps.measure_generation
    calls = []

    def second_stops(*arguments: Any, **keywords: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(*arguments, **keywords)

    monkeypatch.setattr(steps, "measure_generation", second_stops)
    assert dar_bench(*SMALL)[0] == 130
    kept = [item.record.options.get("cfg") for item in RecordStore("quickstart/results").read().records]
    assert sorted(kept, key=str) == [None, "none"]


def test_a_full_disk_is_one_message(dar_bench: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    original = os.replace

    def replace(source: Any, target: Any) -> None:
        if str(target).endswith("classes.png"):
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        original(source, target)

    monkeypatch.setattr("dar_bench.files.os.replace", replace)
    status, _, err = dar_bench(*SMALL)
    assert status == 2
    assert "No space left" in err and "classes.png" in err and "Traceback" not in err
    assert Path("quickstart/reconstructions.png").is_file()
    assert not Path("quickstart/classes.png").exists()
    assert list(Path("quickstart").rglob(".tmp-*")) == []


def test_the_shipped_models_are_chosen_by_what_they_ship() -> None:
    plan = make_plan(Path("q"), model=None, images=None, samples=16, seed=0, device="cpu")
    assert plan.generator.weights.bundled and plan.tokenizer.weights.bundled
    assert isinstance(plugins.registry().card(plan.generator.name), GeneratorCard)
    assert (plan.held_out, plan.reference) == ("emoji64:val", "emoji64:train")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("smol", "Did you mean 'small'?"),
        ("small-tokenizer", "it is a tokenizer"),
        ("dar-l", "are not shipped"),
        ("dit-tiny", "These can: "),
    ],
)
def test_models_that_cannot_walk(dar_bench: Run, model: str, message: str) -> None:
    status, _, err = dar_bench("quickstart", "--model", model)
    assert status == 2
    assert message in err
    assert list(Path().iterdir()) == []
