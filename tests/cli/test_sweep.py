from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dar_bench import plugins
from dar_bench.cli.main import run as run_command
from dar_bench.results.store import RecordStore, read_record
from dar_bench.runs.folder import RunStore
from dar_bench.sampling.autoregressive import AutoregressiveGenerator

Run = Callable[..., tuple[int, str, str]]

COUNTING = 2
"""Samples of a generator's row that are made apart, once: one for its operations, one for its first preview."""

pytestmark = pytest.mark.usefixtures("zoo", "tiny_extractor")


def arrays(kind: str, name: str) -> dict[str, np.ndarray]:
    """Return title to the array of every stored run of a kind."""
    store = RunStore()
    found = {}
    for entry in store.entries():
        if entry.kind == kind:
            parts = []
            from safetensors.numpy import load_file

            for file in sorted((store.folder / entry.key).glob("????????-????????.safetensors")):
                parts.append(load_file(file)[name])
            found[entry.title] = np.concatenate(parts)
    return found


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Count how many samples pass through the two halves of a model."""
    from dar_bench_dar.model.tokenizer import SequentialDiffusionTokenizer
    from dar_bench_dar.sample import DarTokenizer

    found = {"sampled": 0, "decoded": 0, "encoded": 0}
    codes, start, encode = (
        AutoregressiveGenerator.codes,
        DarTokenizer.start,
        SequentialDiffusionTokenizer.encode,
    )

    def counted_codes(self: Any, labels: Any, keys: Any, options: Any, **more: Any) -> Any:
        found["sampled"] += len(keys)
        return codes(self, labels, keys, options, **more)

    def counted_start(self: Any, keys: Any, options: Any) -> Any:
        found["decoded"] += len(keys)
        return start(self, keys, options)

    def counted_encode(self: Any, images: torch.Tensor) -> torch.Tensor:
        found["encoded"] += len(images)
        return encode(self, images)

    monkeypatch.setattr(AutoregressiveGenerator, "codes", counted_codes)
    monkeypatch.setattr(DarTokenizer, "start", counted_start)
    monkeypatch.setattr(SequentialDiffusionTokenizer, "encode", counted_encode)
    return found


def test_all_token_counts_come_from_one_sampling_and_one_decoding(
    dar_bench: Run, counts: dict[str, int]
) -> None:
    status, out, _ = dar_bench("sweep", "tokens", "--model", "small", "--samples", 40)
    assert status == 0
    assert counts == {"sampled": 40, "decoded": 40 + 4 * COUNTING, "encoded": 0}
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["tokens", "2", "4", "6", "8"]
    # Again: nothing is made, and no record is new.
    records = sorted(Path("results").glob("generation-*.json"))
    assert dar_bench("sweep", "tokens", "--model", "small", "--samples", 40)[0] == 0
    assert counts["sampled"] == 40 and counts["decoded"] == 40 + 4 * COUNTING
    assert sorted(Path("results").glob("generation-*.json")) == records and len(records) == 4


def test_images_of_fewer_tokens_are_those_of_a_run_of_their_own(dar_bench: Run, store: Path) -> None:
    status, *_ = dar_bench("sweep", "tokens", "--model", "small", "--values", "2,3,6,8", "--samples", 40)
    assert status == 0
    together = arrays("images", "images")
    # A third token completes no step of its own: only those two rows may be equal.
    assert len(together) == 4 and len({array.tobytes() for array in together.values()}) == 3
    for count in (2, 3, 6, 8):
        title = f"small, tokens {count}"
        dar_bench("cache", "clear")
        assert dar_bench("sweep", "tokens", "--model", "small", "--values", count, "--samples", 40)[0] == 0
        assert np.array_equal(arrays("images", "images")[title], together[title])


def test_a_sweep_scores_as_eval_does(dar_bench: Run) -> None:
    status, out, _ = dar_bench(
        *("sweep", "cfg", "--model", "small", "--values", "none,2.0", "--samples", 40, "--json")
    )
    assert status == 0
    rows = json.loads(out)[0]["rows"]
    assert [row["options"] for row in rows] == [{"cfg": "none"}, {"cfg": "2.0"}]
    for row in rows:
        status, out, _ = dar_bench(
            *("eval", "gfid", "--model", "small", "--cfg", row["options"]["cfg"], "--samples", 40, "--json")
        )
        alone, shared = json.loads(out), row["records"][0]
        for field in ("scores", "options", "seeds", "model", "evaluator", "samples", "sketch", "note"):
            assert alone[field] == shared[field], field


def test_a_row_of_two_sweeps_is_one_record(dar_bench: Run) -> None:
    sweeps = (
        ("cfg", "--values", "none,2.0"),
        ("tokens", "--values", "4,8", "--option", "cfg=2.0"),
        ("cfg", "--values", "2.0,3.0"),
    )
    files = [
        json.loads(dar_bench("sweep", *sweep, "--model", "small", "--samples", 32, "--json")[1])[0]["files"]
        for sweep in sweeps
    ]
    assert files[0][1] == files[1][1] == files[2][0]
    assert len(list(Path("results").glob("generation-*.json"))) == 4
    # The same row measured anew is a repetition, and keeps a record of its own.
    assert dar_bench("eval", "gfid", "--model", "small", "--cfg", "2.0", "--samples", 32)[0] == 0
    assert len(list(Path("results").glob("generation-*.json"))) == 5


@pytest.mark.parametrize(
    "rows",
    [
        ("tokens", "--values", "3,4,8"),
        ("solver", "--steps", "2,4", "--solvers", "euler,heun"),
        ("cfg", "--values", "none,2.0", "--option", "temperature=0.9"),
    ],
)
def test_rows_of_a_sweep_are_verified_by_making_samples_again(dar_bench: Run, rows: tuple[str, ...]) -> None:
    kind, *swept = rows
    status, out, _ = dar_bench(
        *("sweep", kind, "--model", "small", *swept, "--samples", 64, "--batch-size", 16, "--json")
    )
    assert status == 0
    files = json.loads(out)[0]["files"]
    for file in files:
        status, out, err = dar_bench("results", "verify", file, "--samples", 64, "--json")
        assert status == 0, err
        found = json.loads(out)
        assert (found["identical"], found["same_codes"]) == (64, 64)
    # Samples of another seed are not those of the record.
    record = read_record(files[0])
    other = RecordStore("results").write(record.model_copy(update={"seeds": {"run": 1, "evaluation": 1}}))
    assert dar_bench("results", "verify", other, "--samples", 64)[0] == 1


def test_solver_rows_encode_the_images_once(dar_bench: Run, counts: dict[str, int]) -> None:
    arguments = ("sweep", "solver", "--tokenizer", "small-tokenizer", "--data", "dots:val")
    status, out, _ = dar_bench(*arguments, "--steps", "2,4,8", "--solvers", "euler,adams2", "--json")
    assert status == 0
    assert counts["encoded"] == 24 + 6
    assert counts["decoded"] == 6 * (24 + 1)  # one image of each row is made apart, for its operations
    rows = json.loads(out)[0]["rows"]
    assert len(rows) == 6
    status, out, _ = dar_bench(
        *("eval", "rfid", "--tokenizer", "small-tokenizer", "--data", "dots:val"),
        *("--solver", "euler", "--steps", "2", "--json"),
    )
    alone = json.loads(out)
    shared = next(row for row in rows if row["options"] == {"solver": "euler", "steps": "2"})["records"][0]
    assert alone["note"] == shared["note"] != ""
    assert alone["scores"] == shared["scores"] and alone["unavailable"] == shared["unavailable"]


def test_samples_of_a_tokenizer_are_its_images(dar_bench: Run) -> None:
    arguments = ("sweep", "solver", "--tokenizer", "small-tokenizer", "--steps", "2", "--data", "dots:val")
    for name in ("--limit", "--samples"):
        status, out, _ = dar_bench(*arguments, name, 16, "--json")
        assert status == 0
        assert json.loads(out)[0]["rows"][0]["records"][0]["samples"] == 16


def test_solvers_of_a_generator_decode_the_same_codes(dar_bench: Run, counts: dict[str, int]) -> None:
    arguments = ("sweep", "solver", "--model", "small", "--steps", "2,4", "--solvers", "euler,heun")
    assert dar_bench(*arguments, "--samples", 32)[0] == 0
    assert counts == {"sampled": 32, "decoded": 4 * (32 + COUNTING), "encoded": 0}


@pytest.fixture
def toy(zoo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the third-party package of the tests beside the small models."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "third_party_package"))
    group = plugins.ENTRY_POINT_GROUP
    entry = EntryPoint(name="toy-images", value="toy_images:plugin", group=group)
    installed = [*plugins.entry_points(group=group), entry]
    monkeypatch.setattr(plugins, "entry_points", lambda group: installed)
    plugins.registry.cache_clear()


@pytest.mark.usefixtures("toy")
def test_a_generator_without_tokens_sweeps_too(dar_bench: Run) -> None:
    Path("noise.toml").write_text(
        '[sweep]\nmodel = "toy-colours"\nreference = "dots:train"\nlabels = "balanced"\nsamples = 24\n'
        "[grid]\nnoise = [0, 5, 20]\n"
    )
    status, out, err = dar_bench("sweep", "noise.toml")
    assert status == 0, err
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["noise", "0", "5", "20"]


def test_a_file_sweeps_a_grid_and_rows(dar_bench: Run, counts: dict[str, int]) -> None:
    Path("grid.toml").write_text(
        '[sweep]\nmodel = "small"\nsamples = 32\nseed = [0, 1]\nevaluators = ["embedded"]\n'
        "[options]\ntemperature = 0.9\n"
        '[grid]\ncfg = ["none", 1.5]\ntokens = [4, 8]\n'
        '[[rows]]\ncfg = "linear:1.0-3.0"\n'
    )
    status, out, _ = dar_bench("sweep", "grid.toml", "--json")
    assert status == 0
    found = json.loads(out)
    assert [len(sweep["rows"]) for sweep in found] == [5, 5]
    assert counts["sampled"] == 2 * 3 * 32 and counts["decoded"] == 2 * (3 * 32 + 5 * COUNTING)
    record = found[1]["rows"][-1]["records"][0]
    assert record["options"]["cfg"] == "linear:1.0-3.0" and record["options"]["temperature"] == 0.9
    assert record["seeds"]["run"] == 1


def test_the_plan_shows_what_is_shared_and_cached(dar_bench: Run, counts: dict[str, int]) -> None:
    arguments = ("sweep", "cfg", "--model", "small", "--values", "none,2.0", "--samples", 32)
    status, out, _ = dar_bench(*arguments, "--plan")
    assert status == 0 and "sample 8 codes of small, cfg 2.0" in out and "unknown" in out
    assert counts["sampled"] == 0
    assert dar_bench(*arguments)[0] == 0
    plan = json.loads(dar_bench(*arguments, "--plan", "--json")[1])[0]
    assert [node["cached"] for node in plan["nodes"]] == [32] * 4
    assert plan["seconds"] == 0
    plan = json.loads(
        dar_bench(
            "sweep", "cfg", "--model", "small", "--values", "none,3.0", "--samples", 64, "--plan", "--json"
        )[1]
    )[0]
    assert [node["cached"] for node in plan["nodes"]] == [0] * 4
    assert plan["seconds"] > 0  # judged by what was made before


def test_a_plan_needs_no_weights_and_shows_what_is_missing(dar_bench: Run) -> None:
    status, out, _ = dar_bench(
        *("sweep", "tokens", "--model", "dar-l", "--option", "cfg=linear:1.1-8.0", "--plan")
    )
    assert status == 0
    assert "decode the first 64, 128, 192, 256 codes" in out
    assert "Not on this machine: The weights of 'dar-l'" in out


def test_a_cache_deleted_between_halves_costs_time_only(dar_bench: Run, counts: dict[str, int]) -> None:
    arguments = ("sweep", "cfg", "--model", "small", "--values", "none,2.0", "--samples", 32, "--json")
    before = json.loads(dar_bench(*arguments)[1])
    for entry in RunStore().entries():
        if entry.kind == "codes":
            RunStore().delete(entry.key)
    # The codes are gone, but nothing that is missing is made of them.
    assert dar_bench(*arguments)[0] == 0 and counts["sampled"] == 64
    for path in (RunStore().folder.parent / "features").rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    after = json.loads(dar_bench(*arguments)[1])
    assert counts["sampled"] == 128
    scores = [[row["records"][0]["scores"] for row in found[0]["rows"]] for found in (before, after)]
    assert scores[0] == scores[1]


def test_the_cache_is_shown_and_cleared(dar_bench: Run) -> None:
    assert dar_bench("cache", "show")[1] == "0 entries, 0 B.\n"
    dar_bench("sweep", "cfg", "--model", "small", "--values", "none", "--samples", 32)
    entries = json.loads(dar_bench("cache", "show", "--json")[1])
    assert {entry["kind"] for entry in entries} == {"codes", "images", "features"}
    assert (
        "small, default options" in dar_bench("cache", "show")[1]
        or "cfg none" in dar_bench("cache", "show")[1]
    )
    assert json.loads(dar_bench("cache", "clear", "--limit", "1GB", "--json")[1]) == {
        "deleted": [],
        "left": len(entries),
    }
    assert f"Deleted {len(entries)} entries" in dar_bench("cache", "clear")[1]
    assert dar_bench("cache", "clear", "--limit", "lots")[0] == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[sweep\n", "is not valid TOML"),
        ('[sweep]\nmodel = "small"\nsample = 3\n', "line 3, unknown key 'sweep.sample'"),
        ('[sweep]\nmodel = "small"\nsamples = "many"\n', "line 3, wrong value of 'sweep.samples'"),
        (
            '[sweep]\nmodel = "small"\nsamples = 0\n[grid]\ncfg = [1]\n',
            "line 3, wrong value of 'sweep.samples'",
        ),
        ('[sweep]\nmodel = "small"\n[grid]\ncfg = 1.5\n', "line 4, wrong value of 'grid.cfg'"),
        ('[sweep]\nmodel = "small"\n[grid]\ncfg = []\n', "'cfg' has no values"),
        ('[sweep]\nmodel = "small"\n[grid]\ncfg = [[1]]\n', "line 4, wrong value of 'grid.cfg'"),
        ('[sweep]\nmodel = "small"\n', "asks for no rows"),
        ("[sweep]\nsamples = 3\n[grid]\ncfg = [1]\n", "must name a model or a tokenizer"),
        ('[sweep]\nmodel = "small"\n[options]\ncfg = 1\n[grid]\ncfg = [1]\n', "swept and fixed at once"),
        ('[sweep]\nmodel = "small"\n[grid]\ntemperatur = [1]\n', "Did you mean 'temperature'?"),
        ('[sweep]\nmodel = "small"\n[grid]\ntokens = [4, 9]\n', "It must be from 2 to 8."),
        (
            '[sweep]\nmodel = "small"\n[grid]\ntokens = [4, "4"]\n',
            "Two rows of the sweep are the same: tokens=4",
        ),
        ('[sweep]\nmodel = "smal"\n[grid]\ncfg = [1]\n', "Did you mean 'small'?"),
        ('[sweeps]\nmodel = "small"\n', "line 1, unknown key 'sweeps'"),
        (
            '[sweep]\nmodel = "small"\nlabels = "even"\n[grid]\ncfg = [1]\n',
            "line 3, wrong value of 'sweep.labels'",
        ),
        ('[sweep]\nmodel = "small"\nseed = [-1]\n[grid]\ncfg = [1]\n', "line 3, wrong value of 'sweep.seed'"),
    ],
)
def test_a_mistake_in_a_file_is_told_with_its_place(dar_bench: Run, text: str, said: str) -> None:
    Path("sweep.toml").write_text(text)
    status, out, err = dar_bench("sweep", "sweep.toml")
    assert (status, out) == (2, "")
    assert said in err and "Traceback" not in err


@pytest.mark.parametrize("plan", [(), ("--plan",)])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("cfg", "--model", "small", "--values", "none,,2"), "is no list of values"),
        (("cfg", "--model", "small", "--values", "weird:1"), "weird"),
        (("cfg", "--model", "small-tokenizer", "--values", "1"), "has no option 'cfg'"),
        (("tokens", "--model", "small", "--values", "16"), "It must be from 2 to 8."),
        (("tokens", "--model", "dit-xl-2"), "makes no tokens"),
        (("solver", "--steps", "4"), "Name a tokenizer or a model."),
        (
            ("solver", "--steps", "4", "--model", "small", "--limit", "4"),
            "--limit has no effect with --model",
        ),
        (
            ("solver", "--steps", "4", "--tokenizer", "small-tokenizer", "--labels", "uniform"),
            "--labels has no effect with --tokenizer",
        ),
        (
            ("solver", "--steps", "4", "--tokenizer", "small-tokenizer", "--limit", "9", "--samples", "9"),
            "--limit and --samples say the same",
        ),
        (("cfg", "--model", "small", "--values", "2", "--skip-unreadable"), "--skip-unreadable"),
        (("solver", "--steps", "4", "--model", "small-tokenizer"), "generates no images"),
        (("cfg", "--model", "small", "--values", "1", "--option", "cfg=2"), "swept and fixed at once"),
        (("cfg", "--model", "small", "--values", "1", "--samples", "3"), "Too few images: 3 samples."),
        (("cfg", "--model", "small", "--values", "1", "--reference", "dots:val"), "is held out for"),
        (
            ("solver", "--tokenizer", "small-tokenizer", "--steps", "4", "--solvers", "euler,adam2"),
            "Did you mean 'adams2'?",
        ),
        (("cfg", "--model", "small", "--values", "1", "--option", "solver=huen"), "Did you mean 'heun'?"),
        (("cfg", "--model", "small", "--values", "1", "--option", "top-p=0"), "not a value for the option"),
        (("cfg", "--model", "small", "--values", "1", "--evaluator", "embeded"), "Did you mean 'embedded'?"),
        (("missing.toml",), "There is no sweep file 'missing.toml'"),
        (("cgf", "--model", "small"), "Did you mean 'cfg'?"),
    ],
)
def test_wrong_use_ends_in_one_message(
    dar_bench: Run, arguments: tuple[str, ...], said: str, plan: tuple[str, ...]
) -> None:
    status, out, err = dar_bench("sweep", *arguments, *plan)
    assert (status, out) == (2, "")
    assert said in err and "Traceback" not in err


def test_an_option_without_a_value_is_told_as_that(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["sweep", "cfg", "--model", "dar-tiny", "--values", "2.0", "--option", "temperature", "--plan"]
    assert run_command(command) == 2
    assert capsys.readouterr().err.startswith("Error: The option 'temperature' has no value.\n")
    assert run_command(["sample", "dar-tiny", "--labels", "0", "--option", "temperature"]) == 2
    assert capsys.readouterr().err.startswith("Error: The option 'temperature' has no value.\n")
