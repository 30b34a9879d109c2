from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dar_bench.data import open_source
from dar_bench.sampling.autoregressive import AutoregressiveGenerator

Run = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.usefixtures("zoo")


def pixels(path: Path) -> Any:
    return np.asarray(Image.open(path))


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.name.startswith(".tmp-")]


def test_images_are_named_after_index_and_class(dar_bench: Run) -> None:
    status, out, _ = dar_bench("sample", "small", "--labels", "red-round,2", "--count", 2, "--cfg", "2.0")
    assert status == 0
    assert "Wrote 4 images to samples/small" in out
    folder = Path("samples/small")
    names = sorted(path.name for path in folder.glob("*.png"))
    assert names == [
        "000000-red-round.png",
        "000001-red-round.png",
        "000002-blue-thing.png",
        "000003-blue-thing.png",
    ]
    listed = json.loads((folder / "samples.json").read_text())
    assert listed["complete"] is True
    assert listed["options"]["cfg"] == "2.0"
    assert [one["label"] for one in listed["samples"]] == [0, 0, 2, 2]
    assert len(listed["weights_sha256"]) == len(listed["tokenizer_sha256"]) == 64
    assert pixels(folder / names[0]).shape == (16, 16, 3)
    assert (pixels(folder / names[0]) != pixels(folder / names[1])).any()


def test_a_sample_depends_on_seed_and_index_alone(dar_bench: Run) -> None:
    labels = ("--labels", "0,1,2", "--count", 2)
    assert dar_bench("sample", "small", *labels, "--out", "all")[0] == 0
    assert dar_bench("sample", "small", *labels, "--out", "by-one", "--batch-size", 1)[0] == 0
    alone = ("sample", "small", "--labels", 1, "--first-index", 3)
    assert dar_bench(*alone, "--out", "alone")[0] == 0
    assert dar_bench(*alone, "--out", "other", "--seed", 1)[0] == 0
    for path in Path("all").glob("*.png"):
        assert (pixels(path) == pixels(Path("by-one") / path.name)).all()
    name = "000003-green.png"
    assert (pixels(Path("alone") / name) == pixels(Path("all") / name)).all()
    assert (pixels(Path("other") / name) != pixels(Path("all") / name)).any()


def test_previews_come_for_every_group_and_end_in_a_trajectory(dar_bench: Run) -> None:
    status, out, _ = dar_bench("sample", "small", "--labels", 1, "--previews", "--out", "p")
    assert status == 0
    names = sorted(path.name for path in Path("p/previews").iterdir())
    assert names == [f"000000-green-group{group}.png" for group in (1, 2, 3, 4)]
    assert (pixels(Path("p/previews") / names[-1]) == pixels(Path("p/000000-green.png"))).all()
    assert "p/trajectory.png" in out
    width, height = Image.open("p/trajectory.png").size
    assert width > 4 * 96 > height
    dar_bench("sample", "small", "--labels", 1, "--out", "q")
    assert (pixels(Path("q/000000-green.png")) == pixels(Path("p/000000-green.png"))).all()


def test_grid_and_archive_alone(dar_bench: Run) -> None:
    arguments = ("sample", "small", "--labels", "0,1", "--count", 3, "--batch-size", 4)
    status, out, _ = dar_bench(*arguments, "--grid", "g.png", "--npz", "s.npz", "--json")
    assert status == 0
    assert [one["label"] for one in json.loads(out)["samples"]] == [0, 0, 0, 1, 1, 1]
    assert sorted(path.name for path in Path().iterdir()) == ["g.png", "s.npz"]
    with np.load("s.npz") as archive:
        assert archive["arr_0"].shape == (6, 16, 16, 3)
        assert archive["arr_1"].tolist() == [0, 0, 0, 1, 1, 1]
        first = archive["arr_0"][4]
    assert len(open_source("s.npz")) == 6
    dar_bench(*arguments, "--out", "files")
    assert (pixels(Path("files/000004-green.png")) == first).all()


def test_a_prefix_image_fixes_the_first_tokens(dar_bench: Run, tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 30, 3), np.uint8)).save("photo.png")
    prefix = ("--prefix-image", "photo.png", "--prefix-tokens")
    for count in (2, 8):
        assert dar_bench("sample", "small", "--labels", 0, *prefix, count, "--out", f"p{count}")[0] == 0
    dar_bench("sample", "small", "--labels", 2, *prefix, 8, "--out", "whole")
    codes = [json.loads(Path(f"{name}/samples.json").read_text())["prefix_codes"] for name in ("p2", "p8")]
    assert codes[0] == codes[1][:2]
    assert len(codes[1]) == 8
    # With all tokens given, the label has nothing left to say.
    same = [pixels(path) for path in (Path("p8/000000-red-round.png"), Path("whole/000000-blue-thing.png"))]
    assert (same[0] == same[1]).all()
    assert (pixels(Path("p2/000000-red-round.png")) != same[0]).any()
    status, _, err = dar_bench("sample", "small", "--labels", 0, *prefix, 9)
    assert (status, "--prefix-tokens from 1 to 8" in err) == (2, True)
    status, _, err = dar_bench("sample", "small", "--labels", 0, *prefix, 0)
    assert (status, "--prefix-tokens from 1 to 8" in err) == (2, True)
    status, _, err = dar_bench("sample", "small", "--labels", 0, "--prefix-tokens", 4)
    assert (status, "--prefix-image" in err) == (2, True)


def test_an_earlier_run_is_replaced_only_when_asked(dar_bench: Run) -> None:
    first = ("sample", "small", "--labels", "0,1", "--previews", "--out", "o")
    assert dar_bench(*first)[0] == 0
    Path("o/mine.txt").write_text("kept")
    status, _, err = dar_bench("sample", "small", "--labels", 2, "--out", "o")
    assert (status, "--overwrite" in err) == (2, True)
    assert dar_bench("sample", "small", "--labels", 2, "--out", "o", "--overwrite")[0] == 0
    names = sorted(path.name for path in Path("o").iterdir())
    assert names == ["000000-blue-thing.png", "mine.txt", "samples.json"]
    Path("strange").mkdir()
    Path("strange/thesis.tex").write_text("")
    status, _, err = dar_bench("sample", "small", "--labels", 2, "--out", "strange", "--overwrite")
    assert (status, "not empty" in err) == (2, True)
    assert Path("strange/thesis.tex").is_file()


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (("smoll", "--labels", "0"), ("Unknown model 'smoll'", "Did you mean 'small'?")),
        (("small-tokenizer", "--labels", "0"), ("it is a tokenizer", "Generators that use it: small.")),
        (("small", "--labels", "3"), ("Label 3 is out of range", "from 0 to 2")),
        (("small", "--labels", "-1"), ("Label -1 is out of range",)),
        (("small", "--labels", "gren"), ("no class 'gren'", "Did you mean 'green'?")),
        (("small", "--labels", "1,,2"), ("no list of labels",)),
        (("dar-l", "--labels", "parrot"), ("carries no class names", "0 to 999")),
        (("small", "--labels", "0", "--cfg", "linear:2"), ("Malformed guidance schedule", "linear:1.1-8.0")),
        (("small", "--labels", "0", "--solver", "eulr"), ("Did you mean 'euler'?",)),
        (("small", "--labels", "0", "--steps", "many"), ("'many' is not a value", "whole number")),
        (("small", "--labels", "0", "--option", "jmp=velocity"), ("no option 'jmp'", "Did you mean 'jump'?")),
        (("small", "--labels", "0", "--option", "jump"), ("NAME=VALUE",)),
        (("small", "--labels", "0", "--cfg", "2", "--option", "cfg=3"), ("'cfg' is given twice",)),
        (("small", "--labels", "0", "--tokens", "9"), ("from 2 to 8",)),
        (("small", "--labels", "0", "--device", "gpu"), ("Unknown device 'gpu'",)),
        (("small", "--labels", "0", "--weights", "none.safetensors"), ("no weights file",)),
        (("small", "--labels", "0", "--prefix-image", "none.png"), ("There is no image 'none.png'",)),
        (("dar-l", "--labels", "0"), ("not on this machine", "dar-bench weights fetch dar-l")),
    ],
)
def test_mistakes_are_one_message_and_leave_nothing(
    dar_bench: Run, arguments: tuple[str, ...], messages: tuple[str, ...]
) -> None:
    status, out, err = dar_bench("sample", *arguments)
    assert status == 2
    assert out == ""
    assert "Traceback" not in err
    for message in messages:
        assert message in err
    assert list(Path().iterdir()) == []


def test_damaged_and_foreign_weights(dar_bench: Run, zoo: Any) -> None:
    Path("cut.safetensors").write_bytes(zoo.weights.read_bytes()[:1000])
    status, _, err = dar_bench("sample", "small", "--labels", 0, "--weights", "cut.safetensors")
    assert (status, "Cannot read the weights of 'small'" in err) == (2, True)
    status, _, err = dar_bench("sample", "small", "--labels", 0, "--weights", zoo.tokenizer_weights)
    assert (status, "does not hold the weights of 'small'" in err) == (2, True)
    assert not Path("samples").exists()


def test_an_unreadable_prefix_image(dar_bench: Run) -> None:
    Path("broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    status, _, err = dar_bench("sample", "small", "--labels", 0, "--prefix-image", "broken.png")
    assert (status, "Cannot read the image broken.png" in err) == (2, True)


def stop_after(batches: int, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let generation raise ``error`` in the batch after so many."""
    original = AutoregressiveGenerator.generate
    done = iter(range(batches))

    def generate(self: Any, *arguments: Any, **keywords: Any) -> Any:
        if next(done, None) is None:
            raise error
        yield from original(self, *arguments, **keywords)

    monkeypatch.setattr(AutoregressiveGenerator, "generate", generate)


def test_ctrl_c_keeps_what_was_finished(dar_bench: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    stop_after(2, KeyboardInterrupt(), monkeypatch)
    arguments = ("--labels", "0,1,2", "--batch-size", 1, "--out", "o", "--npz", "s.npz", "--grid", "g.png")
    status, _, err = dar_bench("sample", "small", *arguments)
    assert status == 130
    assert "Interrupted." in err
    assert sorted(path.name for path in Path().iterdir()) == ["o"]
    names = sorted(path.name for path in Path("o").iterdir())
    assert names == ["000000-red-round.png", "000001-green.png", "samples.json"]
    listed = json.loads(Path("o/samples.json").read_text())
    assert (listed["complete"], len(listed["samples"])) == (False, 2)


def test_a_full_disk_is_one_message(dar_bench: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    original = Image.Image.save
    saved = []

    def save(self: Image.Image, path: Any, *arguments: Any, **keywords: Any) -> None:
        if len(saved) == 1:
            Path(path).write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        saved.append(path)
        original(self, path, *arguments, **keywords)

    monkeypatch.setattr(Image.Image, "save", save)
    status, _, err = dar_bench("sample", "small", "--labels", "0,1", "--out", "o")
    assert status == 2
    assert err.count("Error:") == 1
    assert "No space left" in err and "000001-green.png" in err
    assert leftovers(tmp_path) == []
    names = sorted(path.name for path in Path("o").iterdir())
    assert names == ["000000-red-round.png", "samples.json"]
