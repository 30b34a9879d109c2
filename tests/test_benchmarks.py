"""The benchmark scripts run and report sane figures; nothing here depends on how fast anything is."""

from __future__ import annotations

import importlib.util
import json
import math
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from click.testing import CliRunner

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = ("sampling", "decoding", "training", "sweeps", "memory")


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import a script as it is run: with its own folder on the path."""
    monkeypatch.syspath_prepend(str(FOLDER))
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up.
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def run(name: str, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> list[dict[str, Any]]:
    """Run a script on the tiny shape and return its rows, once the machine is found beside them."""
    main = load(name, monkeypatch).main
    done = CliRunner().invoke(main, ["--shape", "tiny", "--repeats", "1", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["machine"]["cores"] >= 1
    assert told["machine"]["threads"] >= 1
    assert told["machine"]["torch"] == torch.__version__
    return told["results"]


def assert_positive(figures: dict[str, float], names: set[str]) -> None:
    assert set(figures) == names
    assert all(math.isfinite(figure) and figure > 0 for figure in figures.values()), figures


@pytest.mark.parametrize("name", SCRIPTS)
def test_help(name: str) -> None:
    ran = subprocess.run([sys.executable, FOLDER / f"{name}.py", "--help"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert f"python benchmarks/{name}.py" in ran.stdout
    assert "--json" in ran.stdout


def test_sampling(monkeypatch: pytest.MonkeyPatch) -> None:
    (row,) = run(
        "sampling", monkeypatch, "--batch", "1", "--tokens", "2", "--prefix", "2", "--device", "cpu", "--json"
    )
    assert_positive(row["tokens_per_second"], {"engine", "concat-cache", "no-cache"})
    assert_positive(row["engine_speedup"], {"concat-cache", "no-cache"})


def test_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    images, conditions = run("decoding", monkeypatch, "--batch", "1", "--device", "cpu", "--json")
    assert_positive(images["images_per_second"], {"streamed", "recomputed", "separate", "at-once"})
    assert_positive(images["speedup"], {"recomputed", "separate", "at-once"})
    assert_positive(conditions["images_per_second"], {"cached", "recomputed"})
    assert_positive(conditions["speedup"], {"recomputed"})


def test_training(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer, ar = run("training", monkeypatch, "--batch", "2", "--device", "cpu", "--json")
    assert_positive(tokenizer["images_per_second"], {"shipped", "without-perceptual"})
    assert math.isfinite(tokenizer["perceptual_ms_per_image"])
    assert tokenizer["perceptual_share"] < 1
    assert_positive(ar["images_per_second"], {"cached-codes", "re-encoded"})
    assert_positive(ar["speedup"], {"re-encoded"})


def test_frechet(monkeypatch: pytest.MonkeyPatch) -> None:
    main = load("frechet", monkeypatch).main
    small = ["--dimensions", "24", "--few", "8", "--many", "200", "--repeats", "1", "--json"]
    done = CliRunner().invoke(main, small, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    *cases, with_error = json.loads(done.stdout)["results"]
    assert [row["case"] for row in cases] == ["full rank", "few vectors", "few against full rank"]
    for row in cases:
        assert_positive(row["seconds"], {"ours", "sqrtm", "eigvals"})
        # Traces of some 5: rounding for ours at every rank, the root of rounding for the others.
        assert row["error"]["ours"] < 1e-12
        assert max(row["error"].values()) < 1e-5
    assert_positive(with_error["seconds"], {"distance", "distance with error"})
    assert with_error["difference"] < 1e-12


def test_both_token_decoders_read_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    decoding = load("decoding", monkeypatch)
    model = decoding.build("tiny", "cpu", torch.float32)
    codes = torch.arange(model.config.tokens)[None]
    cached = decoding.conditions_cached(model, codes)
    assert cached.std() > 0.1
    # Sums over at most 64 tokens in another order.
    torch.testing.assert_close(cached, decoding.conditions_recomputed(model, codes), rtol=1e-4, atol=1e-4)


def test_decodings_that_differ_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    decoding = load("decoding", monkeypatch)
    model = decoding.build("tiny", "cpu", torch.float32)
    size = model.config.image_size
    codes, noise = torch.arange(model.config.tokens)[None], torch.zeros(1, 3, size, size)
    images = decoding.streamed(model, codes, noise)
    assert len(images) == model.config.groups
    decoding.check_agreement({"streamed": images, "at-once": images[-1:]})
    other = decoding.streamed(model, codes.flip(1), noise)
    with pytest.raises(SystemExit, match="recomputed made other images"):
        decoding.check_agreement({"streamed": images, "recomputed": other})


def test_repeats_alternate_and_the_first_round_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    measuring = load("measuring", monkeypatch)
    calls: list[str] = []
    variants = {name: lambda n=name: calls.append(n) for name in "ab"}
    seconds, _ = measuring.in_turns(variants, 2, torch.device("cpu"))
    assert calls == list("ababab")
    assert {name: len(values) for name, values in seconds.items()} == {"a": 2, "b": 2}


def test_rates_are_those_of_the_median(monkeypatch: pytest.MonkeyPatch) -> None:
    measuring = load("measuring", monkeypatch)
    rates = measuring.rates({"a": [1.0, 2.0, 9.0], "b": [8.0, 4.0, 4.0]}, 8)
    assert rates == {"a": 4.0, "b": 2.0}
    assert measuring.speedup(rates, "a") == {"b": 2.0}


def test_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    (row,) = run("sweeps", monkeypatch, "--batch", "2", "--device", "cpu", "--json")
    assert_positive(row["seconds"], {"one-row", "four-rows", "apart"})
    assert row["four-rows / one-row"] == pytest.approx(
        row["seconds"]["four-rows"] / row["seconds"]["one-row"]
    )


def test_memory_of_a_stream_grows_with_what_is_kept_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = load("memory", monkeypatch)
    parts = memory.WideExtractor().extract(torch.zeros(2, 3, 8, 8, dtype=torch.uint8))
    assert parts.pool.shape == (2, 2048) and parts.spatial is not None and parts.spatial.shape == (2, 2023)
    assert [len(batch) for batch in memory.images(70, 8)] == [32, 32, 6]
