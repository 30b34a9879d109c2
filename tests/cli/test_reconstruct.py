from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dar_bench_dar.sample import DarTokenizer
from PIL import Image

from dar_bench.metrics.reconstruction import psnr, ssim

Run = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.usefixtures("zoo")


def picture(path: str, *, size: tuple[int, int] = (20, 24), seed: int = 0) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(path)


def pixels(path: str | Path) -> Any:
    return np.asarray(Image.open(path))


def test_files_in_their_order_with_their_scores(dar_bench: Run) -> None:
    picture("b.png", seed=1)
    picture("a.jpg", seed=2)
    status, out, _ = dar_bench("reconstruct", "small-tokenizer", "b.png", "a.jpg")
    assert status == 0
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["image", "b.png", "a.jpg", "mean"]
    assert "Wrote 2 reconstructions to reconstructions/small-tokenizer" in out
    listed = json.loads(Path("reconstructions/small-tokenizer/reconstructions.json").read_text())
    assert listed["complete"] is True
    assert [(one["key"], one["file"]) for one in listed["images"]] == [
        ("b.png", "000000.png"),
        ("a.jpg", "000001.png"),
    ]
    decibels = [one["psnr"] for one in listed["images"]]
    assert lines[1].split()[1] == f"{decibels[0]:.2f}"
    assert lines[3].split()[-2] == f"{sum(decibels) / 2:.2f}"


def test_the_scores_are_those_of_the_written_files(dar_bench: Run) -> None:
    picture("a.png", size=(16, 16))
    status, out, _ = dar_bench("reconstruct", "small-tokenizer", "a.png", "--out", "r", "--json")
    assert status == 0
    (entry,) = json.loads(out)["images"]
    original, decoded = (pixels(path).transpose(2, 0, 1)[None] for path in ("a.png", "r/000000.png"))
    assert entry["psnr"] == pytest.approx(float(psnr(original, decoded)[0]))
    assert entry["ssim"] == pytest.approx(float(ssim(original, decoded)[0]))


def test_any_data_source_and_only_what_was_asked_for(dar_bench: Run) -> None:
    arguments = ("reconstruct", "small-tokenizer", "dots:val", "--limit", 22, "--batch-size", 8)
    status, out, _ = dar_bench(*arguments, "--grid", "g.png", "--npz", "r.npz")
    assert status == 0
    assert "mean of 22 images" in out
    assert len(out.splitlines()) == 4, "above twenty images only the mean is listed"
    assert sorted(path.name for path in Path().iterdir()) == ["g.png", "r.npz"]
    with np.load("r.npz") as archive:
        assert archive["arr_0"].shape == (22, 16, 16, 3)
        assert archive["arr_1"][:4].tolist() == [0, 1, 2, 0]
    width, height = Image.open("g.png").size
    assert 8 * 96 < width < 10 * 96, "eight pairs side by side"
    assert 6 * 96 < height < 7 * 96, "three rows of originals, each over its reconstructions"


def test_files_and_folders_together(dar_bench: Run) -> None:
    for name in ("one.png", "folder/x.png", "folder/y.png", "two.png"):
        picture(name)
    status, out, _ = dar_bench("reconstruct", "small-tokenizer", "one.png", "folder", "two.png", "--json")
    assert status == 0
    assert [one["key"] for one in json.loads(out)["images"]] == [
        "one.png",
        "folder/x.png",
        "folder/y.png",
        "two.png",
    ]


def test_the_noise_of_an_image_is_its_own(dar_bench: Run) -> None:
    for number in range(3):
        picture(f"{number}.png", seed=number)
    images = ("0.png", "1.png", "2.png")
    dar_bench("reconstruct", "small-tokenizer", *images, "--out", "one-by-one", "--batch-size", 1)
    dar_bench("reconstruct", "small-tokenizer", *images, "--out", "at-once")
    dar_bench("reconstruct", "small-tokenizer", *images, "--out", "other-seed", "--seed", 1)
    for name in ("000000.png", "000002.png"):
        assert (pixels(f"one-by-one/{name}") == pixels(f"at-once/{name}")).all()
        assert (pixels(f"other-seed/{name}") != pixels(f"at-once/{name}")).any()


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (("small", "dots:val"), ("'small' is no tokenizer", "Its tokenizer is 'small-tokenizer'.")),
        (("small-tokenizr", "dots:val"), ("Did you mean 'small-tokenizer'?",)),
        (("small-tokenizer", "dots:vall"), ("vall", "val")),
        (("small-tokenizer", "nowhere.png"), ("There is no image 'nowhere.png'",)),
        (("small-tokenizer", "nowhere"), ("nowhere",)),
        (("small-tokenizer", "dots:val", "--cfg", "2"), ("--cfg",)),
        (("dar-tokenizer", "dots:val"), ("dar-bench weights fetch dar-tokenizer",)),
    ],
)
def test_mistakes_are_one_message_and_leave_nothing(
    dar_bench: Run, arguments: tuple[str, ...], messages: tuple[str, ...]
) -> None:
    status, out, err = dar_bench("reconstruct", *arguments)
    assert (status, out) == (2, "")
    for message in messages:
        assert message in err
    assert list(Path().iterdir()) == []


def test_an_empty_folder(dar_bench: Run) -> None:
    Path("empty").mkdir()
    status, _, err = dar_bench("reconstruct", "small-tokenizer", "empty")
    assert (status, "empty" in err) == (2, True)
    assert [path.name for path in Path().iterdir()] == ["empty"]


def test_an_unreadable_image_is_named_and_the_ones_before_are_kept(dar_bench: Run) -> None:
    picture("in/1.png")
    picture("in/3.png")
    Path("in/2.png").write_bytes(Path("in/1.png").read_bytes()[:200])
    status, _, err = dar_bench("reconstruct", "small-tokenizer", "in", "--batch-size", 1, "--out", "o")
    assert status == 2
    assert "Cannot read the image" in err and "2.png" in err
    assert sorted(path.name for path in Path("o").iterdir()) == ["000000.png", "reconstructions.json"]
    assert json.loads(Path("o/reconstructions.json").read_text())["complete"] is False


def test_ctrl_c_keeps_what_was_finished(dar_bench: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    original = DarTokenizer.decode
    calls = []

    def decode(self: Any, *arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(self, *arguments)

    monkeypatch.setattr(DarTokenizer, "decode", decode)
    arguments = ("dots:val", "--batch-size", 4, "--out", "o", "--npz", "r.npz", "--grid", "g.png")
    assert dar_bench("reconstruct", "small-tokenizer", *arguments)[0] == 130
    assert [path.name for path in Path().iterdir()] == ["o"]
    assert len(list(Path("o").glob("*.png"))) == 8


def test_an_earlier_run_is_replaced_only_when_asked(dar_bench: Run) -> None:
    arguments = ("reconstruct", "small-tokenizer", "dots:val", "--out", "o")
    assert dar_bench(*arguments, "--limit", 3)[0] == 0
    status, _, err = dar_bench(*arguments, "--limit", 1)
    assert (status, "--overwrite" in err) == (2, True)
    assert dar_bench(*arguments, "--limit", 1, "--overwrite")[0] == 0
    assert sorted(path.name for path in Path("o").iterdir()) == ["000000.png", "reconstructions.json"]
