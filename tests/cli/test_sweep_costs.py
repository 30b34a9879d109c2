"""What the rows of a sweep cost: as if made alone, whatever was shared, and whenever it was made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dar_bench.runs.folder import RunStore

Run = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.usefixtures("zoo", "tiny_extractor")

TOKENS = ("sweep", "tokens", "--model", "small", "--values", "4,8", "--json")


def costs(out: str) -> list[dict[str, Any]]:
    return [row["records"][0]["cost"] for row in json.loads(out)[0]["rows"]]


def spent(kind: str, title: str = "") -> list[Path]:
    """Return the files that say what the shards of a run took."""
    store = RunStore()
    (entry,) = [one for one in store.entries() if one.kind == kind and title in one.title]
    return sorted((store.folder / entry.key).glob("????????-????????.json"))


def write(path: Path, **values: float | None) -> None:
    """Replace what a shard took; ``extraction`` stands for that of every extractor, ``None`` takes an entry away."""
    known = json.loads(path.read_text())
    for name in known:
        if (value := values.get(name.partition(" ")[0], known[name])) is not None:
            known[name] = value
    path.write_text(json.dumps({name: known[name] for name in known if values.get(name, 0) is not None}))


@pytest.mark.parametrize(
    ("swept", "alone"),
    [
        (
            ("sweep", "cfg", "--model", "small", "--values", "2.0", "--samples", 40),
            ("eval", "gfid", "--model", "small", "--cfg", "2.0", "--samples", 40),
        ),
        (
            ("sweep", "solver", "--tokenizer", "small-tokenizer", "--data", "dots:val", "--steps", "2"),
            ("eval", "rfid", "--tokenizer", "small-tokenizer", "--data", "dots:val", "--steps", "2"),
        ),
    ],
)
def test_a_row_costs_what_eval_says(dar_bench: Run, swept: tuple[str, ...], alone: tuple[str, ...]) -> None:
    (row,) = costs(dar_bench(*swept, "--json")[1])
    measured = json.loads(dar_bench(*alone, "--json")[1])["cost"]
    assert set(row) == set(measured)
    for name in ("flops_per_image", "network_evaluations", "batch_size"):
        assert row[name] == measured[name], name
    assert row["seconds"] >= row["model_seconds"] > 0
    assert row["images_per_second"] > 0 and row["tokens_per_second"] > row["images_per_second"]
    assert row["peak_memory_bytes"] >= 0
    assert ("first_preview_seconds" in row) == (swept[1] == "cfg")


def test_shared_work_counts_in_full_and_a_part_of_the_codes_by_groups(dar_bench: Run) -> None:
    assert dar_bench(*TOKENS, "--samples", 32)[0] == 0
    # A session later: what was spent in the first one is known from its shards alone.
    write(spent("codes")[0], model=8.0, memory=700)
    write(spent("images", "tokens 4")[0], model=1.0, extraction=0.5, memory=300)
    write(spent("images", "tokens 8")[0], model=2.0, extraction=0.25, memory=900)
    half, whole = costs(dar_bench(*TOKENS, "--samples", 32, "--results", "again")[1])
    assert (half["model_seconds"], half["seconds"]) == (8 * 2 / 4 + 1.0, 8 * 2 / 4 + 1.0 + 0.5)
    assert (whole["model_seconds"], whole["seconds"]) == (10.0, 10.25)
    assert half["attribution"] == "sampling: 0.5 of the time that 8 codes took, for the first 4"
    assert "attribution" not in whole
    assert (half["peak_memory_bytes"], whole["peak_memory_bytes"]) == (700, 900)
    assert (half["images_per_second"], half["tokens_per_second"]) == (6.4, 25.6)
    assert half["flops_per_image"] < whole["flops_per_image"]
    assert (half["network_evaluations"], whole["network_evaluations"]) == (
        {"generator": 4, "tokenizer": 2},
        {"generator": 8, "tokenizer": 4},
    )


def test_more_samples_add_to_what_fewer_took(dar_bench: Run) -> None:
    arguments = ("sweep", "cfg", "--model", "small", "--values", "2.0", "--json", "--samples")
    assert dar_bench(*arguments, 256)[0] == 0
    write(spent("codes")[0], model=100.0)
    (row,) = costs(dar_bench(*arguments, 300)[1])
    later = sum(json.loads(path.read_text())["model"] for path in (spent("codes")[1], *spent("images")))
    assert row["model_seconds"] == pytest.approx(100 + later, abs=1e-3)


def test_what_was_not_written_down_is_absent_and_not_nothing(dar_bench: Run) -> None:
    (first, _) = costs(dar_bench(*TOKENS, "--samples", 32)[1])
    for path in spent("codes"):
        path.unlink()
    for path in RunStore().folder.rglob("image-cost.json"):
        path.write_text('{"version": 1, "flop": 3}')
    (row, _) = costs(dar_bench(*TOKENS, "--samples", 32, "--results", "again")[1])
    for name in ("seconds", "model_seconds", "images_per_second", "tokens_per_second", "batch_size"):
        assert row[name] is None, name
    assert "peak_memory_bytes" not in row
    assert row["flops_per_image"] == first["flops_per_image"]  # counted again


def test_shards_of_other_batch_sizes_leave_the_batch_size_open(dar_bench: Run) -> None:
    arguments = ("sweep", "cfg", "--model", "small", "--values", "2.0", "--json")
    dar_bench(*arguments, "--samples", 256)
    (row,) = costs(dar_bench(*arguments, "--samples", 300, "--batch-size", 64)[1])
    assert row["batch_size"] is None and row["images_per_second"] > 0


@pytest.mark.parametrize("cost", ["parameters", "flops", "evaluations", "seconds", "preview", "memory"])
def test_rows_of_a_sweep_have_a_pareto_front(dar_bench: Run, cost: str) -> None:
    assert dar_bench(*TOKENS, "--samples", 32)[0] == 0
    status, out, err = dar_bench(
        *("results", "pareto", "--score", "FD[tiny-extractor]", "--cost", cost, "--all", "--json")
    )
    assert status == 0, err
    rows = json.loads(out)
    assert len(rows) == 2 and any(row["front"] for row in rows)


def test_the_report_shows_what_rows_cost(dar_bench: Run) -> None:
    assert dar_bench(*TOKENS, "--samples", 32)[0] == 0
    assert dar_bench("report", "--no-published")[0] == 0
    page = Path("report.html").read_text()
    for axis in ("model seconds per image", "GFLOPs per image"):
        assert f"FD[tiny-extractor] against {axis}" in page
