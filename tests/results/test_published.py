"""The paper's tables as records: complete, in agreement with the installed cards, and inside the wheel."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dar_bench.errors import UserError
from dar_bench.plugins import registry
from dar_bench.results.published import shipped_folder, table_digest, table_rows
from dar_bench.results.record import Record
from dar_bench.results.store import RecordStore, StoredRecord, read_record

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def shipped() -> tuple[StoredRecord, ...]:
    listing = RecordStore(shipped_folder()).read()
    assert listing.problems == ()
    return listing.records


def test_every_row_of_every_table_is_there(shipped: tuple[StoredRecord, ...]) -> None:
    assert shipped_folder() == ROOT / "results" / "reported"
    rows = Counter(item.record.source for item in shipped)
    assert rows == {f"D-AR Table {n}": count for n, count in enumerate((6, 5, 25, 7, 4, 3, 4), 1)}
    assert {item.record.origin for item in shipped} == {"reported"}
    keys = [(item.record.source, item.record.row, item.record.model.name) for item in shipped]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("source", "score", "count", "total"),
    [
        # Column sums, added up from the text of the paper and not from these files.
        ("D-AR Table 1", "rFID", 6, 13.54),
        ("D-AR Table 2", "rFID", 5, 9.11),
        ("D-AR Table 3", "FID", 25, 59.21),
        ("D-AR Table 3", "IS", 25, 7066.32),
        ("D-AR Table 3", "precision", 23, 18.63),
        ("D-AR Table 3", "recall", 23, 13.50),
        ("D-AR Table 4", "FID", 7, 28.66),
        ("D-AR Table 4", "IS", 7, 1638.12),
        ("D-AR Table 5", "FID", 4, 16.69),
        ("D-AR Table 5", "IS", 4, 913.04),
        ("D-AR Table 6", "rFID", 3, 95.50),
        ("D-AR Table 6", "codebook utilization (%)", 3, 297.0),
        ("D-AR Table 7", "rFID", 4, 123.94),
        ("D-AR Table 7", "gFID", 4, 224.56),
    ],
)
def test_the_numbers_are_the_printed_ones(
    shipped: tuple[StoredRecord, ...], source: str, score: str, count: int, total: float
) -> None:
    found = [item.record.score(score) for item in shipped if item.record.source == source]
    values = [one.value for one in found if one is not None]
    assert len(values) == count
    assert sum(values) == pytest.approx(total, abs=1e-9)


def test_the_cards_of_installed_plugins_agree(shipped: tuple[StoredRecord, ...]) -> None:
    tables = {item.record.source for item in shipped}
    compared = 0
    for card in registry().cards():
        for stated in card.reported:
            if stated.source not in tables:
                continue
            rows = [
                item.record
                for item in shipped
                if (item.record.source, item.record.row) == (stated.source, stated.row)
            ]
            # Some rows ("none") stand for several models.
            same = [record for record in rows if record.model.name == card.name] if len(rows) > 1 else rows
            assert len(same) == 1, f"{card.name}: {stated.source}, {stated.row}"
            record = same[0]
            assert {score.name: score.value for score in record.scores} == dict(stated.scores)
            # Of other systems the table states no options; where both do, they must agree.
            held = (
                set(stated.options)
                if card.name.startswith("dar-")
                else set(stated.options) & set(record.options)
            )
            assert {name: str(record.options.get(name)) for name in held} == {
                name: stated.options[name] for name in held
            }
            compared += 1
    assert compared >= 27


def test_readings_that_disagree_are_both_kept(shipped: tuple[StoredRecord, ...]) -> None:
    large = next(item.record for item in shipped if item.record.row == "D-AR-L")
    assert {one.by: one.options["cfg"] for one in large.readings} == {
        "paper": "linear:1.1-8.0",
        "published script": "linear:1.2-8.0",
    }
    assert large.options["cfg"] == "linear:1.1-8.0"
    extra_large = [
        item.record for item in shipped if item.record.readings and "10.0" in str(item.record.options)
    ]
    assert [one.score("precision").value for one in extra_large if one.score("precision")] == [0.79, 0.78]  # type: ignore[union-attr]


def a_table(rows: list[Any]) -> dict[str, Any]:
    return {
        "table": "Toy Table 1",
        "common": {
            "kind": "generation",
            "created": "2025-01-01T00:00:00Z",
            "samples": 10,
            "model": {"family": "diffusion"},
            "options": {"cfg": "none", "steps": 4},
            "score": {"n": 10, "protocol": "toy"},
        },
        "rows": rows,
    }


def write(folder: Path, table: dict[str, Any]) -> Path:
    path = folder / f"reported-toy-{table_digest(table)[:12]}.json"
    path.write_text(json.dumps(table))
    return path


GOOD = {"row": "a", "model": {"name": "a"}, "options": {"cfg": "2.0"}, "scores": {"FID": 1.5}}


def test_rows_take_over_what_is_common(tmp_path: Path) -> None:
    path = write(tmp_path, a_table([GOOD]))
    record = read_record(path)
    assert record.model.name == "a" and record.model.family == "diffusion"
    assert record.options == {"cfg": "2.0", "steps": 4}
    assert (record.source, record.row) == ("Toy Table 1", "a")
    assert [(one.name, one.value, one.n, one.protocol) for one in record.scores] == [("FID", 1.5, 10, "toy")]


def test_a_damaged_row_is_reported_and_the_others_still_read(tmp_path: Path) -> None:
    write(tmp_path, a_table([GOOD, {"row": "b", "scores": {"FID": "low"}}, {**GOOD, "row": "c"}]))
    listing = RecordStore(tmp_path).read()
    assert [item.record.row for item in listing.records] == ["a", "c"]
    assert len(listing.problems) == 1 and listing.problems[0].reason.startswith("Row 2: ")


def test_damaged_tables_are_problems(tmp_path: Path) -> None:
    changed = write(tmp_path, a_table([GOOD]))
    changed.write_text(changed.read_text().replace("1.5", "1.4"))
    write(tmp_path, a_table([]))
    write(tmp_path, {**a_table([GOOD]), "colour": "red"})
    write(tmp_path, {**a_table([GOOD]), "common": 3})
    write(tmp_path, a_table([GOOD, "b"]))
    listing = RecordStore(tmp_path).read()
    assert listing.records == ()
    reasons = " ".join(problem.reason for problem in listing.problems)
    for said in ("it was changed", "without rows", "'colour'", "must be an object and 'rows'", "every row"):
        assert said in reasons


def test_rows_are_found_by_their_own_hash(shipped: tuple[StoredRecord, ...]) -> None:
    item = next(item for item in shipped if item.record.row == "D-AR-XL")
    assert RecordStore(shipped_folder()).find(item.digits).record == item.record
    with pytest.raises(UserError, match="is a table of 25 records"):
        read_record(item.path)


def test_rows_keep_their_order_and_names(shipped: tuple[StoredRecord, ...]) -> None:
    order = [item.record.row for item in shipped if item.record.source == "D-AR Table 4"]
    assert order == ["none", "1.5", "1.75", "linear:1.1-8.0", "none", "1.5", "linear:1.1-10.0"]
    assert len({item.name for item in shipped}) == len(shipped)


def test_a_row_is_a_whole_record(shipped: tuple[StoredRecord, ...]) -> None:
    table = json.loads(next(shipped_folder().glob("*table-3*")).read_text())
    rows = [Record.model_validate(row) for row in table_rows(table)]
    assert Record.model_validate_json(rows[-1].model_dump_json()) == rows[-1]


def test_the_wheel_holds_the_tables(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=120,
    )
    wheel = next(tmp_path.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    program = (
        "from dar_bench.results.published import shipped_folder\n"
        "from dar_bench.results.store import RecordStore\n"
        "listing = RecordStore(shipped_folder()).read()\n"
        "print(shipped_folder(), len(listing.records), len(listing.problems))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(tmp_path / "site"), "PATH": ""},
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.stdout.split() == [str(tmp_path / "site" / "dar_bench" / "reported"), "54", "0"]
