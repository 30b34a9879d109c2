from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dar_bench.api import Options, SampleKeys
from dar_bench.data.subset import spread
from dar_bench.data.transforms import center_crop
from dar_bench.errors import UserError
from dar_bench.reconstruction import ReconstructionRun, open_inputs, reconstruct


class Inverter:
    """A 'tokenizer' whose codes are pixels and whose images are the negatives."""

    class card:
        image_size = 8

    def __init__(self) -> None:
        self.keys: list[SampleKeys] = []

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1).long()

    def decode(self, codes: torch.Tensor, keys: SampleKeys, options: Options) -> torch.Tensor:
        self.keys.append(keys)
        return (255 - codes).to(torch.uint8).reshape(len(codes), 3, 8, 8)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for number in range(5):
        Path("in").mkdir(exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (9, 12, 3), np.uint8)
        Image.fromarray(pixels).save(f"in/{number}.png")
    return tmp_path


def run(source: Any, batch_size: int = 2, limit: int | None = None) -> tuple[Inverter, list[Any]]:
    tokenizer: Any = Inverter()
    chosen = ReconstructionRun(source=source, seed=4, options={}, batch_size=batch_size, limit=limit)
    return tokenizer, list(reconstruct(tokenizer, chosen))


@pytest.mark.usefixtures("folder")
def test_batches_hold_the_crops_and_what_became_of_them() -> None:
    source = open_inputs(["in"])
    tokenizer, batches = run(source)
    assert [batch.indices for batch in batches] == [(0, 1), (2, 3), (4,)]
    assert [keys.indices for keys in tokenizer.keys] == [(0, 1), (2, 3), (4,)]
    assert {keys.seed for keys in tokenizer.keys} == {4}
    assert batches[1].keys == ("2.png", "3.png")
    expected = center_crop(source[3].image, 8).transpose(2, 0, 1)
    assert (batches[1].originals[1].numpy() == expected).all()
    assert (batches[1].images[1].numpy() == 255 - expected).all()
    assert all(batch.seconds >= 0 for batch in batches)


@pytest.mark.usefixtures("folder")
def test_a_limit_takes_the_first_and_a_spread_takes_all_parts() -> None:
    source = open_inputs(["in"])
    assert [batch.keys for batch in run(source, 4, limit=3)[1]] == [("0.png", "1.png", "2.png")]
    some = spread(source, 2)
    assert [some.key(index) for index in range(len(some))] == ["0.png", "2.png"]
    assert (np.asarray(some[1].image) == np.asarray(source[2].image)).all()
    assert len({some.fingerprint(), source.fingerprint(), spread(source, 3).fingerprint()}) == 3
    assert spread(source, 5) is source
    assert spread(source, None) is source


@pytest.mark.usefixtures("folder")
def test_inputs_come_in_the_order_named() -> None:
    source = open_inputs(["in/4.png", "in", "in/0.png", "in/1.png"])
    keys = [source.key(index) for index in range(len(source))]
    assert keys == ["in/4.png", *(f"in/{number}.png" for number in range(5)), "in/0.png", "in/1.png"]
    assert (np.asarray(source[6].image) == np.asarray(Image.open("in/0.png"))).all()
    assert (np.asarray(source[7].image) == np.asarray(Image.open("in/1.png"))).all()
    assert open_inputs(["in/4.png"]).name == "in/4.png"


@pytest.mark.usefixtures("folder")
def test_the_fingerprint_of_files_is_their_contents() -> None:
    one, other = (open_inputs([f"in/{number}.png"]).fingerprint() for number in (0, 1))
    assert one != other
    Path("in/1.png").write_bytes(Path("in/0.png").read_bytes())
    assert open_inputs(["in/0.png", "in/1.png"]).fingerprint() != one


@pytest.mark.usefixtures("folder")
def test_what_is_not_there_or_no_image() -> None:
    with pytest.raises(UserError, match="There is no image 'in/9.png'"):
        open_inputs(["in/0.png", "in/9.png"])
    Path("in/bad.png").write_text("words")
    with pytest.raises(UserError, match=r"Cannot read the image in/bad\.png"):
        open_inputs(["in/bad.png"])[0]
