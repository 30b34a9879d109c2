"""The zoo of this repository's own plugins beside the paper's Tables 1 and 3."""

from __future__ import annotations

import json
from pathlib import Path

from dar_bench.plugins import registry
from dar_bench.zoo import FAMILIES, entries

REPORTED_ONLY = {
    *("rqvae", "titok-s-128-tokenizer"),
    *(
        "sit-xl-2",
        "maskgit",
        "titok-s-128",
        "mar-l",
        "mar-h",
        "var-d20",
        "var-d24",
        "var-d30",
        "rar-l",
        "rar-xl",
    ),
    *("randar-l", "randar-xl", "randar-xxl", "dart-fm", "causalfusion-xl", "ibq-xl", "ibq-xxl"),
    *("stronger-llamagen-l", "stronger-llamagen-xl"),
}
INSTALLED = {
    *("llamagen-tokenizer", "llamagen-tokenizer-4096", "dar-tokenizer", "dar-tokenizer-4096"),
    *("dit-xl-2", "llamagen-l-384", "llamagen-xl-384", "llamagen-xxl-384", "dar-l", "dar-xl"),
}


def test_every_row_of_the_tables_is_in_the_zoo_once_and_where_it_belongs(tmp_path: Path) -> None:
    zoo = entries(registry(), tmp_path)
    names = [entry.name for entry in zoo]
    assert len(set(names)) == len(names)
    assert {entry.name for entry in zoo if entry.standing == "reported only"} == REPORTED_ONLY
    installed = {entry.name for entry in zoo if entry.standing == "installed"}
    assert installed >= INSTALLED
    rows = [report for entry in zoo for report in entry.reported if report.source.startswith("D-AR Table")]
    assert {report.source for report in rows} >= {"D-AR Table 1", "D-AR Table 3"}
    assert all(entry.reported for entry in zoo if entry.name in INSTALLED | REPORTED_ONLY)


def test_groups_are_those_of_table_3_in_its_order(tmp_path: Path) -> None:
    families = [entry.family for entry in entries(registry(), tmp_path)]
    assert list(dict.fromkeys(families)) == [family for family in FAMILIES if family in families]
    assert families == sorted(families, key=FAMILIES.index)


def test_nothing_is_measured_without_a_record(tmp_path: Path) -> None:
    assert not any(entry.measured for entry in entries(registry(), tmp_path))
    shipped = Path(__file__).parents[1] / "results" / "measured"
    measured = [entry for entry in entries(registry(), shipped) if entry.standing == "measured"]
    assert "dar-tiny" in {entry.name for entry in measured}
    for entry in measured:
        for measurement in entry.measured:
            record = json.loads(Path(measurement.file).read_text())
            assert {score["name"]: score["value"] for score in record["scores"]}[
                measurement.score
            ] == measurement.value
