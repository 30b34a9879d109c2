"""Images that are there already: what either side may be, and what is refused."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dar_bench.cli.main import run
from dar_bench.metrics.frechet import frechet_distance
from dar_bench.results.store import read_record

Run = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.usefixtures("zoo", "tiny_extractor")


def pixels(count: int, seed: int, size: int = 16) -> np.ndarray:
    random = np.random.default_rng(seed)
    base = random.integers(0, 200, (count, 1, 1, 3))
    return (base + random.integers(0, 56, (count, size, size, 3))).astype(np.uint8)


def raster(images: np.ndarray) -> np.ndarray:
    """The tiny extractor's features: mean colours of a 4 x 4 raster."""
    n, size = len(images), images.shape[1] // 4
    blocks = images.astype(np.float32).reshape(n, 4, size, 4, size, 3) / 255
    return blocks.mean(axis=(2, 4)).transpose(0, 3, 1, 2).reshape(n, -1)


@pytest.fixture
def archives() -> tuple[np.ndarray, np.ndarray]:
    reference, samples = pixels(60, 0), pixels(70, 1)
    np.savez("reference.npz", reference)
    np.savez("samples.npz", samples)
    return reference, samples


def scores(out: str) -> dict[str, Any]:
    return {score["name"]: score for score in json.loads(out)["scores"]}


def test_two_archives(dar_bench: Run, archives: tuple[np.ndarray, np.ndarray]) -> None:
    status, out, err = dar_bench("eval", "images", "reference.npz", "samples.npz")
    assert status == 0, err
    assert "samples.npz: 70 samples against 60 images of reference.npz" in out
    (path,) = Path("results").glob("images-samples*.json")
    record = read_record(path)
    assert record.kind == "images" and record.model.name == "samples.npz"
    assert record.options["samples_fingerprint"].endswith(";as-they-are")
    assert record.evaluator is not None and record.evaluator.reference_count == 60
    score = record.score("FD[tiny-extractor]")
    # The features are float32 means of a few pixels each; the distance is of order 1e-2.
    assert score is not None
    assert score.value == pytest.approx(frechet_distance(raster(archives[0]), raster(archives[1])), rel=1e-3)


def test_every_form_of_the_same_images_has_the_same_scores(
    dar_bench: Run, archives: tuple[np.ndarray, np.ndarray]
) -> None:
    Path("folder").mkdir()
    for index, image in enumerate(archives[1]):
        Image.fromarray(image).save(f"folder/{index:03d}.png")
    with zipfile.ZipFile("archive.zip", "w") as archive:
        for path in sorted(Path("folder").iterdir()):
            archive.write(path, path.name)
    np.savez_compressed("compressed.npz", archives[1])
    expected = scores(dar_bench("eval", "images", "reference.npz", "samples.npz", "--json")[1])
    for form in ("folder", "archive.zip", "compressed.npz"):
        status, out, err = dar_bench("eval", "images", "reference.npz", form, "--json")
        assert status == 0, err
        assert scores(out) == expected


def test_statistics_take_the_place_of_images(dar_bench: Run, archives: tuple[np.ndarray, np.ndarray]) -> None:
    features = raster(archives[0]).astype(np.float64)
    moments = {"mu": features.mean(axis=0), "sigma": np.cov(features, rowvar=False)}
    np.savez("statistics.npz", **moments)
    np.savez("both.npz", archives[0][:30], **moments)
    images = scores(dar_bench("eval", "images", "reference.npz", "samples.npz", "--json")[1])
    alone = scores(dar_bench("eval", "images", "statistics.npz", "samples.npz", "--json")[1])
    assert list(alone) == ["FD[tiny-extractor]", "IS[tiny-extractor]"]
    # Here the features are of another implementation, equal to float32 rounding.
    assert alone["FD[tiny-extractor]"]["value"] == pytest.approx(
        images["FD[tiny-extractor]"]["value"], rel=1e-3
    )
    both = scores(dar_bench("eval", "images", "both.npz", "samples.npz", "--json")[1])
    assert both["FD[tiny-extractor]"]["value"] == pytest.approx(
        alone["FD[tiny-extractor]"]["value"], rel=1e-12
    )
    assert both["recall[tiny-extractor]"]["n"] == 30


def test_a_crop_is_for_both_sides(dar_bench: Run) -> None:
    np.savez("large.npz", pixels(20, 0, 32))
    np.savez("small.npz", pixels(20, 1, 16))
    status, _, err = dar_bench("eval", "images", "large.npz", "small.npz")
    assert status == 2
    assert "'large.npz' is of 32x32 px images, the samples 'small.npz' are 16x16" in err
    status, out, err = dar_bench("eval", "images", "large.npz", "small.npz", "--crop", 16, "--json")
    assert status == 0, err
    assert json.loads(out)["options"]["crop"] == 16
    assert json.loads(out)["evaluator"]["reference_fingerprint"].endswith(";center-crop-16")


def test_cards_and_shipped_sets_are_references(dar_bench: Run) -> None:
    np.savez("samples.npz", pixels(20, 1, 64))
    by_card = dar_bench("eval", "images", "emoji64-train", "samples.npz", "--json")
    by_name = dar_bench("eval", "images", "emoji64:train", "samples.npz", "--json")
    assert scores(by_card[1]) == scores(by_name[1])
    status, _, err = dar_bench("eval", "images", "emoji64-val", "samples.npz")
    assert status == 2 and "Use emoji64-train" in err
    reconstruction = ("--purpose", "reconstruction")
    assert dar_bench("eval", "images", "emoji64-val", "samples.npz", *reconstruction)[0] == 0
    status, _, err = dar_bench("eval", "images", "adm-imagenet256", "samples.npz")
    assert status == 2 and "stats fetch adm-imagenet256" in err
    status, _, err = dar_bench("eval", "images", "adm-imagenet255", "samples.npz")
    assert status == 2 and "Did you mean 'adm-imagenet256'?" in err


def write_bad(name: str) -> None:
    good = pixels(20, 0)
    if name == "cut.npz":
        np.savez("whole.npz", good)
        Path(name).write_bytes(Path("whole.npz").read_bytes()[:-3000])
    elif name == "text.npz":
        Path(name).write_text("no archive")
    elif name == "named.npz":
        np.savez(name, images=good)
    elif name == "floats.npz":
        np.savez(name, (good / 255).astype(np.float32))
    elif name == "grey.npz":
        np.savez(name, good[..., :1])
    elif name == "alpha.npz":
        np.savez(name, np.concatenate([good, good[..., :1]], axis=3))
    elif name == "few.npz":
        np.savez(name, good[:5])
    elif name == "empty":
        Path(name).mkdir()
    elif name == "mixed":
        Path(name).mkdir()
        for index in range(20):
            Image.fromarray(pixels(1, index, 16 if index != 7 else 24)[0]).save(f"{name}/{index:02d}.png")
    elif name == "broken":
        Path(name).mkdir()
        for index in range(20):
            Image.fromarray(good[index]).save(f"{name}/{index:02d}.png")
        Path("broken/07.png").write_bytes(Path("broken/07.png").read_bytes()[:80])


@pytest.mark.parametrize(
    ("name", "messages"),
    [
        ("cut.npz", ("cut.npz", "npz archive", "Download or copy it again")),
        ("text.npz", ("text.npz", "npz archive")),
        ("named.npz", ("no array 'arr_0'", "It holds images", "numpy.savez(FILE, images)")),
        ("floats.npz", ("arr_0 of floats.npz is float32", "uint8", "255")),
        ("grey.npz", ("arr_0 of grey.npz is uint8 of shape (20, 16, 16, 1)", "greyscale")),
        ("alpha.npz", ("arr_0 of alpha.npz", "alpha channel")),
        ("few.npz", ("Too few images: 5 images of 'few.npz'", "at least 16")),
        ("empty", ("empty is empty",)),
        ("mixed", ("different sizes", "00.png is 16x16, 07.png is 24x24", "--crop")),
        ("broken", ("07.png", "Replace or remove it")),
        ("missing.npz", ("no file or folder missing.npz",)),
    ],
)
def test_bad_samples_are_one_message_and_leave_nothing(
    dar_bench: Run, name: str, messages: tuple[str, ...]
) -> None:
    np.savez("reference.npz", pixels(40, 3))
    write_bad(name)
    before = sorted(Path().iterdir())
    status, out, err = dar_bench("eval", "images", "reference.npz", name, "--evaluator", "embedded")
    assert (status, out) == (2, "")
    assert err.startswith("Error: ") and "\nError:" not in err and "Traceback" not in err
    for message in messages:
        assert message in err
    assert sorted(Path().iterdir()) == before


def test_all_evaluators_score_or_say_why_not(dar_bench: Run, archives: tuple[np.ndarray, np.ndarray]) -> None:
    status, out, err = dar_bench("eval", "images", "reference.npz", "samples.npz", "--evaluator", "all")
    assert status == 0, err
    assert "FD[tiny-extractor]" in out
    for name in ("torch-fidelity", "clean-fid"):
        assert f"{name}: left out. The weights of 'inception-2015-12-05' are not on this machine.\n" in out
    assert "What each of them needs: dar-bench doctor" in out
    status, _, err = dar_bench("eval", "images", "reference.npz", "samples.npz", "--evaluator", "clean-fid")
    assert status == 2 and "weights fetch inception-2015-12-05" in err


def test_two_evaluators_stand_side_by_side_and_read_once(
    dar_bench: Run,
    archives: tuple[np.ndarray, np.ndarray],
    tiny_extractor: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[int] = []

    class Counting(tiny_extractor):  # type: ignore[misc]
        def extract(self, images: Any) -> Any:
            seen.append(len(images))
            return super().extract(images)

    monkeypatch.setattr("dar_bench.features.efficientnet.EfficientNetLite0", Counting)
    both = ("--evaluator", "embedded", "--evaluator", "embedded:efficientnet-lite0")
    status, out, err = dar_bench("eval", "images", "reference.npz", "samples.npz", *both)
    assert status == 0, err
    assert sum(seen) == 60 + 70
    header, row = (line.split() for line in out.splitlines() if line.startswith(("score ", "FD ")))
    assert header == ["score", "embedded", "embedded:efficientnet-lite0"]
    assert row[1:4] == row[4:7]  # the value, the sign and its error
    assert "How each of them measures" in out
    assert len(list(Path("results").glob("images-*.json"))) == 2
    status, out, _ = dar_bench("eval", "images", "reference.npz", "samples.npz", *both, "--json")
    shown = json.loads(out)
    assert [record["evaluator"]["name"] for record in shown["records"]] == [
        "embedded",
        "embedded:efficientnet-lite0",
    ]
    assert shown["differences"] == [] and len(shown["fingerprints"]) == 2


def test_a_results_folder_that_cannot_be_written_to_is_told_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    command = ["eval", "images", "no-such-set", "no-such-set"]
    assert run([*command, "--results", str(tmp_path / "file" / "results")]) == 2
    assert "is no folder" in capsys.readouterr().err
    assert run([*command, "--results", str(tmp_path / "results")]) == 2
    assert "no-such-set" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()
