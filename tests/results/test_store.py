from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from dar_bench.errors import UserError
from dar_bench.results import export, texts
from dar_bench.results.record import Cost, Environment, Model, Record, Score
from dar_bench.results.store import RecordStore, canonical_text, file_name, read_record, rows, to_frame

MakeRecord = Callable[..., Record]


def test_written_records_are_read_again(tmp_path: Path, make_record: MakeRecord) -> None:
    store = RecordStore(tmp_path / "results")
    record = make_record()
    path = store.write(record)
    assert path.name == f"generation-dar-tiny-{record.content_hash()[:12]}.json"
    assert read_record(path) == record
    listing = store.read()
    assert [item.record for item in listing.records] == [record] and listing.problems == ()
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_the_same_measurement_is_one_file_with_its_first_date(
    tmp_path: Path, make_record: MakeRecord
) -> None:
    store = RecordStore(tmp_path)
    record = make_record()
    path = store.write(record)
    assert store.write(make_record(created=record.created + timedelta(days=3))) == path
    assert read_record(path).created == record.created
    # A damaged file is no reason to lose the measurement.
    path.write_text("{")
    assert store.write(record) == path and read_record(path) == record


def test_kept_work_that_is_asked_for_by_another_command_is_no_second_record(
    tmp_path: Path, make_record: MakeRecord
) -> None:
    store = RecordStore(tmp_path)
    first = make_record(cost=Cost(model_seconds=3.0))
    path = store.write(first)
    again = make_record(command=["dar-bench", "sweep"], cost=Cost(model_seconds=4.0, attribution="half"))
    assert store.write_new(again) == path and read_record(path) == first
    # Anything that was measured, or where it was, makes another measurement.
    others = [
        make_record(samples=501),
        make_record(environment=Environment(device="cuda")),
        make_record(options={"cfg": "none"}),
        make_record(cost=Cost(model_seconds=4.0, peak_memory_bytes=7)),  # knows more than the first
    ]
    assert len({path, *(store.write_new(record) for record in others)}) == 5
    assert store.write_new(others[-1]) != path
    # A damaged record is none.
    for file in tmp_path.glob("*.json"):
        file.write_text("{")
    assert read_record(store.write_new(again)) == again


def test_files_are_canonical(tmp_path: Path, make_record: MakeRecord) -> None:
    one = make_record(options={"a": 1, "b": "é"})
    other = make_record(options={"b": "é", "a": 1})
    assert canonical_text(one) == canonical_text(other)
    assert canonical_text(one).endswith("}\n") and "é" in canonical_text(one)
    assert RecordStore(tmp_path).write(one).read_text(encoding="utf-8") == canonical_text(one)


def test_names_are_safe(make_record: MakeRecord) -> None:
    odd = make_record(model=Model(name="../org/My model:v1", weights_sha256="0" * 64))
    assert file_name(odd).startswith("generation-org-My-model-v1-")
    assert "/" not in file_name(make_record(model=Model(name="///", weights_sha256="0" * 64)))


def test_folders_inside_are_read_oldest_first(tmp_path: Path, make_record: MakeRecord) -> None:
    base = make_record()
    new = make_record(samples=1, created=base.created + timedelta(days=1))
    old = make_record(samples=2, created=base.created - timedelta(days=1))
    RecordStore(tmp_path / "measured").write(new)
    RecordStore(tmp_path / "reported").write(old)
    RecordStore(tmp_path / ".hidden").write(base)
    (tmp_path / "settings.json").write_text("[]")
    assert [item.record.samples for item in RecordStore(tmp_path).read().records] == [2, 1]


def test_a_damaged_record_is_reported_and_the_rest_still_reads(
    tmp_path: Path, make_record: MakeRecord
) -> None:
    store = RecordStore(tmp_path)
    good = make_record()
    store.write(good)
    text = canonical_text(make_record(samples=7))
    newer = text.replace('"schema_version": 2', '"schema_version": 9')
    damage = {
        "a-000000000001.json": text[: len(text) // 2],
        "b-000000000002.json": newer,
        "c-000000000003.json": text.replace('"samples": 7', '"samples": "many"'),
        "d-000000000004.json": text,
        "e-000000000005.json": "[1, 2]",
    }
    for name, content in damage.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "f-000000000006.json").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "g-000000000007.json").mkdir()
    listing = store.read()
    assert [item.record for item in listing.records] == [good]
    reasons = {problem.path.name[0]: problem.reason for problem in listing.problems}
    assert sorted(reasons) == ["a", "b", "c", "d", "e", "f", "g"]
    assert "not JSON" in reasons["a"]
    assert "schema version 9" in reasons["b"] and "update dar-bench" in reasons["b"]
    assert "samples" in reasons["c"]
    assert "it was changed" in reasons["d"]
    assert "UTF-8" in reasons["f"]
    assert "cannot be opened" in reasons["g"]


def test_reading_one_damaged_record_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    with pytest.raises(UserError, match="cannot be opened"):
        read_record(path)
    path.write_text("{")
    with pytest.raises(UserError, match="not JSON"):
        read_record(path)


def test_find_by_name_or_hash(tmp_path: Path, make_record: MakeRecord) -> None:
    store = RecordStore(tmp_path)
    one, other = make_record(), make_record(samples=7)
    store.write(one)
    store.write(other)
    assert store.find(one.content_hash()[:6]).record == one
    assert store.find(file_name(other)).record == other
    with pytest.raises(UserError, match="means 2 records"):
        store.find("generation-dar")
    with pytest.raises(UserError, match="No record 'zzz'"):
        store.find("zzz")
    (tmp_path / "broken-00000000000a.json").write_text("{")
    with pytest.raises(UserError, match="'broken-00000000000a.json' cannot be read"):
        store.find("broken")


def test_missing_folder_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no folder of records"):
        RecordStore(tmp_path / "nowhere").read()


def test_rows_and_frame_have_one_line_per_score(tmp_path: Path, make_record: MakeRecord) -> None:
    store = RecordStore(tmp_path)
    store.write(make_record())
    records = store.read().records
    flat = rows(records)
    assert [row["score"] for row in flat] == ["FD[toy]", "IS[toy]"]
    assert flat[0]["option.cfg"] == "linear:1.1-8.0" and flat[0]["low"] == pytest.approx(12.345 - 0.49)
    frame = to_frame(records)
    assert frame.loc[frame.score == "IS[toy]", "value"].item() == 4.5


def test_frame_without_pandas_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserError, match="pip install pandas"):
        to_frame([])


@pytest.mark.parametrize(
    ("value", "stderr", "expected"),
    [
        (12.3456, 0.256, "12.35 ± 0.26"),
        (0.81234, 0.0123, "0.812 ± 0.012"),
        (215.8, 3.4, "215.8 ± 3.4"),
        (1234.5, 34.0, "1234 ± 34"),
        (0.0000912, 0.0000041, "0.0000912 ± 0.0000041"),
        (0.5, 0.0, "0.5 ± 0"),
        (2.44, None, "2.44"),
    ],
)
def test_values_are_shown_to_two_digits_of_their_error(
    value: float, stderr: float | None, expected: str
) -> None:
    assert texts.display(Score(name="x", value=value, stderr=stderr, n=1)) == expected


def test_exports(tmp_path: Path, make_record: MakeRecord) -> None:
    store = RecordStore(tmp_path)
    store.write(make_record())
    store.write(make_record(options={"steps": 16, "solver": "euler|adams2"}, samples=7))
    records = store.read().records

    lines = list(csv.DictReader(io.StringIO(export.export(records, "csv"))))
    assert len(lines) == 4
    assert {line["option.steps"] for line in lines} == {"8", "16"}
    assert {line["option.solver"] for line in lines} == {"", "euler|adams2"}

    found = json.loads(export.export(records, "json"))
    assert [Record.model_validate(item) for item in found] == [item.record for item in records]

    markdown = export.export(records, "markdown").splitlines()
    assert markdown[0] == "| record | kind | model | score | value | n | reference |"
    assert len(markdown) == 6
    assert "FD[toy] | 12.35 ± 0.25 | 500 | emoji64:train |" in markdown[2]
    with pytest.raises(ValueError, match="unknown format"):
        export.export(records, "xml")
