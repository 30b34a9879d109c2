from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest

from dar_bench.array_files import read_arrays, write_arrays
from dar_bench.errors import UserError
from dar_bench.runs.cache import cache_entries, clear, parse_size, size_text
from dar_bench.runs.filling import Shard, fill
from dar_bench.runs.folder import Run, RunKey, RunStore
from dar_bench.runs.locks import Busy, lock
from dar_bench.runs.processes import Processes, launched
from dar_bench.runs.shards import ranges

KEY = RunKey(kind="codes", depends={"weights": "a" * 64, "seed": 0})


def codes(start: int, stop: int) -> dict[str, np.ndarray]:
    return {"codes": np.arange(start * 4, stop * 4, dtype=np.uint16).reshape(-1, 4)}


def test_equal_arrays_make_equal_files_and_come_back(tmp_path: Path) -> None:
    arrays = {"b": np.ones((2, 3), np.float32), "a": np.arange(4)}
    write_arrays(tmp_path / "one", arrays)
    write_arrays(tmp_path / "two", dict(reversed(arrays.items())))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    found = read_arrays(tmp_path / "one")
    assert found is not None and np.array_equal(found["b"], arrays["b"])


def test_every_flipped_byte_of_a_shard_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "shard"
    write_arrays(path, {"codes": np.arange(6, dtype=np.uint16)})
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        found = read_arrays(path)
        # A flipped bit in the header's text may be one of no meaning (a space); then the arrays are right.
        assert found is None or np.array_equal(found.get("codes", []), np.arange(6))
    path.write_bytes(whole[:-3])
    assert read_arrays(path) is None
    assert read_arrays(tmp_path / "none") is None


def test_a_damaged_shard_is_removed_and_the_others_stay() -> None:
    run = RunStore().open(KEY, "codes of a test")
    for start, stop in ranges(600):
        run.write(start, codes(start, stop))
    damaged = run.folder / "00000256-00000512.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    assert run.has(256, 512)
    assert run.read(256, 512) is None
    assert not run.has(256, 512)
    found = run.read(512, 600)
    assert found is not None and np.array_equal(found["codes"], codes(512, 600)["codes"])


def test_a_longer_shard_serves_a_shorter_run_and_its_time_is_shared_out() -> None:
    run = RunStore().open(KEY, "codes")
    run.write(0, codes(0, 256), {"wall": 8.0, "memory": 1000})
    assert run.has(0, 100)
    found = run.read(0, 100)
    assert found is not None and np.array_equal(found["codes"], codes(0, 100)["codes"])
    assert run.seconds(0, 64, "wall") == 2.0
    assert run.seconds(256, 300, "wall") is None
    assert run.fact(0, 64, "memory") == 1000 and run.fact(0, 64, "batch") is None


def test_what_a_shard_took_before_stays_beside_what_it_takes_again() -> None:
    run = RunStore().open(KEY, "codes")
    run.write(0, codes(0, 64), {"wall": 8.0, "extraction a": 3.0})
    run.write(0, codes(0, 64), {"wall": 2.0, "extraction b": 1.0})
    assert [run.seconds(0, 64, name) for name in ("wall", "extraction a", "extraction b")] == [2.0, 3.0, 1.0]
    next(run.folder.glob("*-*.json")).write_text("no JSON")
    assert run.seconds(0, 64, "wall") is None
    assert run.kept("note") is None
    run.keep("note", {"flops": 2.5})
    assert run.kept("note") == {"flops": 2.5}


def test_keys_that_differ_anywhere_are_other_runs_and_names_do_not_count() -> None:
    other = RunKey(kind="codes", depends={"seed": 1, "weights": "a" * 64})
    assert KEY.digest() != other.digest()
    assert KEY.digest() == RunKey(kind="codes", depends=dict(reversed(KEY.depends.items()))).digest()
    assert RunStore().open(KEY, "one").folder == RunStore().open(KEY, "another").folder


def test_a_lock_excludes_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "run" / ".lock"
    with lock(path, wait=False):
        with pytest.raises(Busy), lock(path, wait=False):
            pass
        assert path.exists()
    assert not path.exists()
    with lock(path, wait=False):
        pass


def worker(run: Run, shards: list[Shard], first: int, counts: Path) -> None:
    """Fill a run, noting each shard that this process made."""

    def make(shard: Shard) -> None:
        (counts / f"{os.getpid()}-{shard[0]}").touch()
        run.write(shard[0], codes(*shard))

    fill(
        shards,
        done=lambda shard: run.has(*shard),
        make=make,
        lock_path=run.lock_path,
        first=first,
    )


def test_processes_share_a_run_and_make_every_shard_once(tmp_path: Path) -> None:
    shards = list(ranges(4000, 100))
    run = RunStore(tmp_path / "store").open(KEY, "shared")
    counts = tmp_path / "counts"
    counts.mkdir()
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=worker, args=(run, shards, first, counts)) for first in (0, 0, 13, 26)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    made = sorted(int(path.name.split("-")[1]) for path in counts.iterdir())
    assert made == [start for start, _ in shards]
    for start, stop in shards:
        found = run.read(start, stop)
        assert found is not None and np.array_equal(found["codes"], codes(start, stop)["codes"])
    assert list(run.folder.glob(".lock*")) == []


def test_clearing_drops_what_was_used_longest_ago() -> None:
    store = RunStore()
    for age, seed in ((300, 0), (200, 1), (100, 2)):
        run = store.open(RunKey(kind="codes", depends={"seed": seed}), f"seed {seed}")
        run.write(0, codes(0, 64))
        os.utime(run.folder / "run.json", (1_000_000_000 - age, 1_000_000_000 - age))
    entries = cache_entries()
    assert [entry.title for entry in entries] == [f"seed {seed}, 64 samples" for seed in (0, 1, 2)]
    used = store.open(RunKey(kind="codes", depends={"seed": 0}), "seed 0")
    assert used.read(0, 64) is not None  # the oldest is used again, so the second goes first
    deleted = clear(limit=entries[0].size + entries[2].size)
    assert [entry.title for entry in deleted] == ["seed 1, 64 samples"]
    assert len(clear()) == 2 and cache_entries() == []


@pytest.mark.parametrize(
    ("text", "size"), [("20GB", 20 * 10**9), ("1.5 kb", 1500), ("0", 0), ("500 MB", 5 * 10**8), ("7b", 7)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


def test_a_size_of_another_form_is_refused_and_sizes_are_readable() -> None:
    with pytest.raises(UserError, match="'much' is no size"):
        parse_size("much")
    assert [size_text(n) for n in (12, 1500, 2_400_000_000)] == ["12 B", "1.5 kB", "2.4 GB"]


def test_the_launchers_place(monkeypatch: pytest.MonkeyPatch) -> None:
    assert launched().size == 1 and launched().is_main
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "3")
    place = launched()
    assert (place.rank, place.size, place.is_main, place.first_shard(9)) == (2, 3, False, 6)
    monkeypatch.setenv("RANK", "3")
    with pytest.raises(UserError, match="makes no sense"):
        launched()


def test_processes_of_a_machine_take_gpus_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert Processes(4, 6).device("auto") == "cuda:1"
    monkeypatch.setenv("LOCAL_RANK", "")
    assert [Processes(rank, 4).device("cuda") for rank in range(4)] == [
        "cuda:0",
        "cuda:1",
        "cuda:0",
        "cuda:1",
    ]
    assert (Processes(1, 2).device("cuda:7"), Processes(0, 1).device("auto")) == ("cuda:7", "auto")
