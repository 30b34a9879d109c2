"""Training sweeps: trained once, measured, beside the paper's numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]

SWEEP = """
[sweep]
data = "dots:val"
reported = "dar-ablation-tokenizer"

[[train]]
name = "tokenizer"
command = "tokenizer"
arguments = [
    "--recipe", "dar-tiny-tokenizer", "--data", "dots:train", "--val", "dots:val",
    "--set", "train.steps=1", "--set", "train.batch_size=2", "--set", "train.workers=0",
    "--set", "schedule.decay_start=0", "--set", "schedule.warmup_steps=0",
    "--set", "loss.perceptual_weight=0", "--set", "model.beta={beta}",
    "--set", "model.encoder_depth=1", "--set", "model.token_decoder_depth=1", "--set", "model.decoder_depth=1",
]

[[rows]]
beta = 1
steps = 8

[[rows]]
beta = 2
steps = 8
"""


@pytest.mark.usefixtures("zoo", "tiny_extractor")
def test_rows_are_trained_once_and_measured(dar_bench: Run) -> None:
    Path("ablation.toml").write_text(SWEEP)
    plan = json.loads(dar_bench("sweep", "ablation.toml", "--plan", "--json")[1])
    assert [one["state"] for one in plan] == ["to do", "to do"]
    status, out, err = dar_bench("sweep", "ablation.toml", "--json")
    assert status == 0, err
    rows = json.loads(out)
    assert [row["row"] for row in rows] == [{"beta": "1", "steps": "8"}, {"beta": "2", "steps": "8"}]
    hashes = [row["records"][0]["model"]["weights_sha256"] for row in rows]
    assert hashes[0] != hashes[1]
    status, out, err = dar_bench("sweep", "ablation.toml")
    assert status == 0 and err.count("Already trained") == 2
    # The paper's rows of beta 1 and 2 at eight groups, in its own unit beside ours.
    assert "reported rFID" in out and "28.65" in out.splitlines()[-1]


@pytest.mark.usefixtures("zoo")
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('command = "tokenizer"', 'command = "tokenzier"', "Did you mean 'tokenizer'?"),
        ("{beta}", "{bta}", "Nothing fills '{bta}'"),
        (
            "[[rows]]\nbeta = 2",
            '[[rows]]\nbeta = "1 1"\nsteps = 8\n\n[[rows]]\nbeta = "1/1"',
            "have the folder 'beta-1_1",
        ),
        ("beta = 2", "beta = [2]", "wrong value of 'rows.beta'"),
        ("arguments =", "argument =", "unknown key 'train.argument'"),
    ],
)
def test_mistakes_are_told_before_the_first_training(dar_bench: Run, old: str, new: str, said: str) -> None:
    Path("ablation.toml").write_text(SWEEP.replace(old, new))
    status, out, err = dar_bench("sweep", "ablation.toml")
    assert (status, out) == (2, "") and said in err
    assert not Path("runs").exists()
