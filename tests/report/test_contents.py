"""What the page holds, read off its text."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dar_bench.report.entries import entries
from dar_bench.report.leaderboard import boards
from dar_bench.report.sweeps import number, option_charts
from dar_bench.results.ranking import lower_is_better, pareto_front
from dar_bench.results.record import Record, Score
from dar_bench.results.store import RecordStore, StoredRecord

from .sample_records import generation


def stored(records: list[Record]) -> list[StoredRecord]:
    return [StoredRecord(path=Path(f"{index}.json"), record=record) for index, record in enumerate(records)]


def test_the_leaderboard_groups_as_table_3_and_shows_measured_beside_reported(records: list[Record]) -> None:
    found = boards(entries(stored(records)))
    assert [board.title for board in found] == ["Generators", "Tokenizers"]
    generators = dict(found[0].groups)
    assert list(generators) == ["diffusion", "vanilla AR", "other"]
    assert {entry.record.origin for entry in generators["vanilla AR"]} == {"measured", "reported"}
    assert found[0].scores[:2] == ("FID", "IS"), "scores of no extractor but the common one come first"


def test_one_record_in_two_folders_is_one_entry(records: list[Record]) -> None:
    assert len(entries(stored(records + records))) == len(records)


def test_a_series_holds_the_records_that_differ_in_the_option_alone() -> None:
    records = [
        generation("a", 10.0, 2.0, 1.0, cfg="1.5", tokens=64),
        generation("a", 9.0, 2.1, 1.0, cfg="2.0", tokens=64),
        generation("a", 8.0, 2.2, 1.0, cfg="2.0", tokens=32),
        generation("b", 7.0, 2.3, 1.0, cfg="2.0", tokens=64),
    ]
    guidance = option_charts(entries(stored(records)), "cfg", "guidance scale")
    assert [[point.x for point in series.points] for series in guidance[0].series] == [[1.5, 2.0]]
    tokens = option_charts(entries(stored(records)), "tokens", "tokens")
    assert [(point.x, point.y) for point in tokens[0].series[0].points] == [(64.0, 9.0), (32.0, 8.0)]


def test_a_line_has_one_protocol_and_one_sample_count_and_says_which() -> None:
    def made(value: float, n: int, protocol: str, who: str, cfg: str) -> Record:
        base = generation("a", value, 2.0, 1.0, cfg=cfg)
        assert base.evaluator is not None
        scores = [Score(name="FD[toy]", value=value, stderr=1.0, n=n, protocol=protocol)]
        told = base.evaluator.model_copy(update={"name": who})
        return base.model_copy(update={"scores": scores, "samples": n, "evaluator": told})

    records = [
        made(value + shift, n, protocol, who, cfg)
        for shift, (n, protocol, who) in enumerate(
            [
                (2000, "toy, resized bilinear", "embedded"),
                (5000, "toy, resized bilinear", "embedded"),
                (2000, "toy, resized bicubic", "embedded"),
                (2000, "toy, resized bilinear", "other"),
            ]
        )
        for value, cfg in ((10.0, "1.5"), (20.0, "2.0"))
    ]
    # One more value of yet another protocol is no line, and joins none.
    records.append(made(99.0, 2000, "toy, resized twice", "embedded", "3.0"))
    (chart,) = option_charts(entries(stored(records)), "cfg", "guidance scale")
    assert {line.name: [(point.x, point.y) for point in line.points] for line in chart.series} == {
        "a, embedded, 2,000 samples, resized bilinear": [(1.5, 10.0), (2.0, 20.0)],
        "a, embedded, 5,000 samples": [(1.5, 11.0), (2.0, 21.0)],
        "a, embedded, 2,000 samples, resized bicubic": [(1.5, 12.0), (2.0, 22.0)],
        "a, other, 2,000 samples": [(1.5, 13.0), (2.0, 23.0)],
    }


def test_schedules_stand_beside_the_numbers_and_are_not_joined_to_them() -> None:
    records = [
        generation("a", fd, 2.0, 1.0, cfg=cfg)
        for cfg, fd in (("none", 9.0), ("3.0", 8.0), ("linear:1-4", 7.0))
    ]
    chart = option_charts(entries(stored(records)), "cfg", "guidance scale")[0]
    places = {point.text.split(",")[1]: (point.x, point.joined) for point in chart.series[0].points}
    assert places[" cfg none: FD[efficientnet-lite0] 9.0 ± 1.5 (95 %: 6.06 to 11.94)"] == (1.0, True)
    [(place, name)] = chart.categories
    assert name == "linear:1-4"
    assert place > 3.0
    assert [point.joined for point in chart.series[0].points] == [True, True, False]


@pytest.mark.parametrize(
    ("text", "value"), [("none", 1.0), ("2.5", 2.5), ("64", 64.0), ("linear:1-4", None), ("1.5x", None)]
)
def test_which_option_values_are_numbers(text: str, value: float | None) -> None:
    assert number(text) == value


def test_the_pareto_front_has_what_nothing_beats() -> None:
    points = [(1.0, 5.0), (2.0, 3.0), (2.0, 4.0), (3.0, 3.0), (4.0, 1.0)]
    assert pareto_front(points, lower_x=True, lower_y=True) == [(1.0, 5.0), (2.0, 3.0), (4.0, 1.0)]
    assert pareto_front(points, lower_x=False, lower_y=False) == [
        (1.0, 5.0),
        (2.0, 4.0),
        (3.0, 3.0),
        (4.0, 1.0),
    ]
    assert pareto_front(points, lower_x=False, lower_y=True) == [(4.0, 1.0)]


def test_the_page_needs_nothing_but_itself(page: Path) -> None:
    text = page.read_text()
    assert re.findall(r"(?:src|href)=\"(?!data:|#)[^\"]*\"", text) == []
    assert "http" not in re.sub(r"<script type=\"application/json\".*?</script>", "", text, flags=re.S)


def test_texts_of_records_cannot_become_markup(page: Path) -> None:
    text = page.read_text()
    assert "A <system>" not in text
    assert "A &lt;system&gt; &amp; co" in text
    assert "<h1>A &lt;title&gt; &amp; more</h1>" in text
    data = re.search(r'id="records">(.*?)</script>', text, flags=re.S)
    assert data is not None
    assert "<" not in data[1]
    names = {record["model"]["name"] for record in json.loads(data[1]).values()}
    assert "A <system> & co" in names


def test_damaged_records_are_named_and_the_rest_is_shown(page: Path, folder: Path) -> None:
    text = page.read_text()
    assert "Skipped &#x27;generation-damaged-000000000000.json&#x27;" in text
    assert text.count("<tr data-origin") == sum(
        item.record.kind != "training" for item in RecordStore(folder).read().records
    )


@pytest.mark.parametrize(
    ("score", "lower"),
    [
        ("FID", True),
        ("rFID", True),
        ("gFID", True),
        ("rsFID", True),
        ("FD-infinity[toy]", True),
        ("rCMMD[clip-vitl14-336]", True),
        ("LPIPS[alex]", True),
        ("IS", False),
        ("recall", False),
        ("precision[toy]", False),
        ("PSNR", False),
    ],
)
def test_which_way_a_score_is_better(score: str, lower: bool) -> None:
    assert lower_is_better(score) is lower
