"""``dar-bench lint`` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dar_bench.cli.main import run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve noisy images, class folders of six each."""
    random = np.random.default_rng(0)
    for number in range(12):
        place = tmp_path / "samples" / ("a" if number < 6 else "b")
        place.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number:02}.png")
    return tmp_path / "samples"


def findings(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, object]]:
    return {one["rule"]: one for one in json.loads(capsys.readouterr().out)["findings"]}


def test_a_clean_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lint", str(folder), "--count", "12", "--size", "32", "--strict"]) == 0
    assert "Nothing found." in capsys.readouterr().out


def test_every_finding_is_explained_and_strict_fails(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "a" / "copy.png").write_bytes((folder / "a" / "00.png").read_bytes())
    assert run(["lint", str(folder), "--count", "12"]) == 0
    printed = capsys.readouterr().out
    assert "warning: duplicates (moves FID" in printed
    assert "a/copy.png is a/00.png" in printed
    assert "There are 13 samples, the protocol has 12." in printed
    assert run(["lint", str(folder), "--count", "12", "--strict"]) == 1
    capsys.readouterr()
    ignored = ["--ignore", "duplicates", "--ignore", "sample-count"]
    assert run(["lint", str(folder), "--count", "12", "--strict", *ignored]) == 0


def test_files_tell_their_format_mode_and_size(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = Image.open(folder / "a" / "00.png")
    image.save(folder / "a" / "x.jpg", quality=100)
    image.convert("L").save(folder / "b" / "grey.png")
    image.resize((20, 10)).save(folder / "b" / "small.png")
    assert run(["lint", str(folder), "--count", "0", "--json"]) == 0
    found = findings(capsys)
    assert list(found) == ["mixed-sizes", "jpeg-origin", "converted-images"]
    assert found["jpeg-origin"]["numbers"] == {"files": 1}
    assert "b/grey.png" in str(found["converted-images"]["seen"])


def test_an_unreadable_file_is_a_finding_and_all_unreadable_an_error(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "a" / "00.png").write_bytes(b"no image")
    assert run(["lint", str(folder), "--count", "0", "--json"]) == 0
    assert "a/00.png" in str(findings(capsys)["unreadable"]["seen"])
    for path in folder.rglob("*.png"):
        path.write_bytes(b"no image")
    assert run(["lint", str(folder), "--count", "0"]) == 2
    assert "Cannot read the image" in capsys.readouterr().err


@pytest.mark.parametrize("channels_first", [False, True])
def test_archives_of_floats_are_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], channels_first: bool
) -> None:
    images = np.random.default_rng(0).random((6, 16, 16, 3)).astype(np.float32)
    path = tmp_path / "samples.npz"
    np.savez(path, images.transpose(0, 3, 1, 2) if channels_first else images)
    assert run(["lint", str(path), "--count", "0", "--json"]) == 0
    assert list(findings(capsys)) == ["wrong-range", "wrong-dtype"]


def test_an_archive_in_class_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (5600, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "samples.npz", images, np.arange(5600) // 56)
    assert run(["lint", str(tmp_path / "samples.npz"), "--count", "0", "--json"]) == 0
    assert "class-sorted" in findings(capsys)


def test_features_show_what_pixels_do_not(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--count", "0", "--extractor", "efficientnet-lite0", "--device", "cpu", "--json"]
    assert run(["lint", str(folder), *arguments]) == 0
    assert findings(capsys)["rank-deficient"]["numbers"] == {"images": 12, "dimensions": 1280}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lint", "nowhere"], "nowhere"),
        (["lint", "emoji64:val", "--ignore", "duplicate"], "Did you mean 'duplicates'?"),
        (["lint", "emoji64:val", "--extractor", "efficientnet"], "Did you mean 'efficientnet-lite0'?"),
    ],
)
def test_wrong_use(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("shape", [(4, 8, 8), (4, 8, 8, 4)])
def test_archives_that_hold_no_rgb_images(
    tmp_path: Path, shape: tuple[int, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "x.npz", np.zeros(shape, dtype=np.float32))
    assert run(["lint", str(tmp_path / "x.npz")]) == 2
    assert f"of shape {shape}" in capsys.readouterr().err
