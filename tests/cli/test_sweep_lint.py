"""Rows of a sweep are linted as a measurement of each alone would be, whenever their samples were made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dar_bench.decoding import decode_prefixes

Run = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.usefixtures("zoo", "tiny_extractor")

SWEEP = ("sweep", "solver", "--model", "small", "--steps", "4", "--solvers", "euler,heun", "--samples", 64)


@pytest.fixture
def one_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one of two solvers paint all images of a batch alike, so that its samples are copies."""

    def repeated(tokenizer: Any, codes: Any, keys: Any, options: Any, *more: Any) -> dict[int, torch.Tensor]:
        made = decode_prefixes(tokenizer, codes, keys, options, *more)
        if options["solver"] == "heun":
            return {view: images[:1].expand(len(images), -1, -1, -1).clone() for view, images in made.items()}
        return made

    monkeypatch.setattr("dar_bench.sweeps.jobs.decode_prefixes", repeated)


@pytest.mark.usefixtures("one_image")
def test_findings_are_shown_and_recorded_and_known_later(dar_bench: Run) -> None:
    from dar_bench_dar.sample import DarTokenizer

    status, _, err = dar_bench(*SWEEP)
    assert status == 0
    (line,) = [line for line in err.splitlines() if "(duplicates)" in line]
    assert "of 64 images are exact copies" in line and line.endswith("[solver heun, steps 4]")
    rows = json.loads(dar_bench(*SWEEP, "--json")[1])[0]["rows"]
    rules = [{one["rule"] for one in row["lint"]} for row in rows]
    assert "duplicates" in rules[1] - rules[0]
    assert "duplicates" in rows[1]["records"][0]["note"]
    assert "duplicates" not in rows[0]["records"][0]["note"]

    def forbidden(self: Any, keys: Any, options: Any) -> Any:
        raise AssertionError("an image is made")

    # No image is made for this again: it is told without a decoder, too.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DarTokenizer, "start", forbidden)
        status, out, err = dar_bench(*SWEEP, "--json")
    assert status == 0, err
    again = json.loads(out)[0]["rows"]
    assert [row["lint"] for row in again] == [row["lint"] for row in rows]


@pytest.mark.usefixtures("one_image")
def test_strict_stops_at_the_row_and_keeps_the_others(dar_bench: Run) -> None:
    status, _, err = dar_bench(*SWEEP, "--strict")
    assert (
        status == 1
        and "The row 'solver heun, steps 4'" in err
        and "would mislead" in err
        and "Traceback" not in err
    )
    assert len(list(Path("results").glob("generation-*.json"))) == 1
