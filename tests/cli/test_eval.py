from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dar_bench.hashing import sha256_file
from dar_bench.results.store import read_record

Run = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.usefixtures("zoo")


@pytest.mark.usefixtures("tiny_extractor")
def test_reconstruction_scores_and_their_record(dar_bench: Run, zoo: Any) -> None:
    status, out, err = dar_bench("eval", "rfid", "--tokenizer", "small-tokenizer", "--data", "dots:val")
    assert status == 0
    assert "Warning" not in err
    assert "small-tokenizer: 24 reconstructions of dots:val" in out
    assert "rFD[tiny-extractor]" in out and "frechet;float64" in out
    assert "rFID" not in out
    assert "LPIPS[alex]: not measured." in out
    (path,) = Path("results").glob("reconstruction-small-tokenizer-*.json")
    assert str(path) in out
    record = read_record(path)
    assert record.model.weights_sha256 == sha256_file(zoo.tokenizer_weights)
    assert [score.name for score in record.scores] == ["rFD[tiny-extractor]", "PSNR", "SSIM"]
    assert all(score.n == 24 and score.bounds() is not None for score in record.scores)
    assert record.evaluator is not None and record.evaluator.reference == "dots:val"
    assert record.options["solver"] == "adams2"
    assert record.cost.images_per_second is not None and record.cost.images_per_second > 0
    assert record.command[0] == "dar-bench"
    assert list(record.unavailable) == ["LPIPS[alex]"]


@pytest.mark.usefixtures("tiny_extractor")
def test_samples_is_another_word_for_limit(dar_bench: Run) -> None:
    arguments = ("eval", "rfid", "--tokenizer", "small-tokenizer", "--data", "dots:val", "--json")
    one, other = (json.loads(dar_bench(*arguments, name, 16)[1]) for name in ("--limit", "--samples"))
    assert one["samples"] == other["samples"] == 16
    assert one["scores"] == other["scores"]


@pytest.mark.usefixtures("tiny_extractor")
def test_generation_scores_and_their_record(dar_bench: Run, zoo: Any) -> None:
    arguments = ("eval", "gfid", "--model", "small", "--cfg", "linear:1.0-3.0", "--samples", 20)
    status, out, err = dar_bench(*arguments, "--results", "r", "--json")
    assert status == 0
    record = json.loads(out)
    assert "Wrote the record r/generation-small-" in err
    assert [score["name"] for score in record["scores"]][:3] == [
        "FD[tiny-extractor]",
        "KD[tiny-extractor]",
        "IS[tiny-extractor]",
    ]
    assert "FID" not in json.dumps(record["scores"])
    assert record["model"]["tokenizer_sha256"] == sha256_file(zoo.tokenizer_weights)
    assert record["options"]["cfg"] == "linear:1.0-3.0"
    assert record["options"]["labels"] == "reference"
    assert record["evaluator"]["reference"] == "dots:train"
    assert record["evaluator"]["reference_count"] == 40
    assert record["samples"] == 20


@pytest.mark.usefixtures("tiny_extractor")
def test_scores_do_not_depend_on_the_batch_size(dar_bench: Run) -> None:
    arguments = ("eval", "gfid", "--model", "small", "--samples", 17, "--json")
    first, second = (json.loads(dar_bench(*arguments, "--batch-size", size)[1]) for size in (3, 17))
    # The same tokens; matrix products round by batch size, which may turn single pixels by one grey level.
    for one, two in zip(first["scores"], second["scores"], strict=True):
        assert one["value"] == pytest.approx(two["value"], rel=1e-4), one["name"]
    other = json.loads(dar_bench(*arguments, "--seed", 5)[1])
    assert other["scores"] != first["scores"]


@pytest.mark.usefixtures("tiny_extractor")
@pytest.mark.parametrize(
    ("arguments", "what", "instead"),
    [
        (("rfid", "--tokenizer", "small-tokenizer", "--data", "dots:train"), "is training data", "dots:val"),
        (
            ("gfid", "--model", "small", "--samples", "16", "--reference", "dots:val"),
            "is held out for reconstruction",
            "dots:train",
        ),
    ],
)
def test_data_that_mislead_are_refused_unless_forced(
    dar_bench: Run, arguments: tuple[str, ...], what: str, instead: str
) -> None:
    status, _, err = dar_bench("eval", *arguments)
    assert status == 2
    assert what in err and f"Use {instead}, or measure it all the same with --force-reference." in err
    assert list(Path().iterdir()) == []
    status, out, err = dar_bench("eval", *arguments, "--force-reference", "--json")
    assert status == 0
    assert what in err
    assert json.loads(out)["note"].startswith("Forced: ") and what in json.loads(out)["note"]


@pytest.mark.usefixtures("tiny_extractor")
def test_a_limited_reference_is_another_reference(dar_bench: Run) -> None:
    arguments = ("eval", "gfid", "--model", "small", "--samples", 16, "--labels", "balanced", "--json")
    whole = json.loads(dar_bench(*arguments)[1])["evaluator"]
    part = json.loads(dar_bench(*arguments, "--reference-limit", 20)[1])["evaluator"]
    assert (whole["reference_count"], part["reference_count"]) == (40, 20)
    assert whole["reference_fingerprint"] != part["reference_fingerprint"]


def test_the_embedded_extractor_measures(dar_bench: Run) -> None:
    arguments = ("eval", "rfid", "--tokenizer", "small-tokenizer", "--data", "dots:val", "--limit", 16)
    status, out, _ = dar_bench(*arguments, "--json")
    assert status == 0
    first = json.loads(out)["scores"][0]
    assert first["name"] == "rFD[efficientnet-lite0]"
    assert first["value"] > 0 and first["stderr"] > 0


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (("gfid", "--model", "smal"), ("Did you mean 'small'?",)),
        (("gfid", "--model", "small", "--samples", "3"), ("Too few images: 3 samples", "at least 16")),
        (
            ("gfid", "--model", "small", "--evaluator", "embeded"),
            ("Unknown evaluator 'embeded'", "'embedded'"),
        ),
        (("gfid", "--model", "small", "--cfg", "linear"), ("Malformed guidance schedule 'linear'",)),
        (("gfid", "--model", "small", "--reference", "dats:train"), ("Did you mean 'dots'?",)),
        (("rfid", "--tokenizer", "small"), ("'small' is no tokenizer",)),
        (
            ("rfid", "--tokenizer", "small-tokenizer", "--data", "dots:val", "--limit", "5"),
            ("Too few images",),
        ),
        (("rfid", "--tokenizer", "small-tokenizer", "--data", "missing.npz"), ("missing.npz",)),
        (("rfid", "--tokenizer", "dar-tokenizer", "--data", "dots:val"), ("weights fetch dar-tokenizer",)),
    ],
)
@pytest.mark.usefixtures("tiny_extractor")
def test_mistakes_are_one_message_and_leave_no_record(
    dar_bench: Run, arguments: tuple[str, ...], messages: tuple[str, ...]
) -> None:
    status, out, err = dar_bench("eval", *arguments)
    assert (status, out) == (2, "")
    assert err.count("Error:") == 1
    for message in messages:
        assert message in err
    assert list(Path().iterdir()) == []


@pytest.mark.usefixtures("tiny_extractor")
def test_ctrl_c_leaves_no_record(dar_bench: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*arguments: Any, **keywords: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dar_bench.evaluators.embedded.EmbeddedEvaluator.score_generation", stop)
    status, _, err = dar_bench("eval", "gfid", "--model", "small", "--samples", 16)
    assert (status, "Interrupted." in err) == (130, True)
    assert list(Path().iterdir()) == []
