"""What is looked for before a score: findings beside it, failures on demand, and files that cannot be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Run = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.usefixtures("zoo", "tiny_extractor")


def noise(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)


def test_findings_stand_beside_the_scores_and_in_the_record(dar_bench: Run) -> None:
    np.savez("reference.npz", noise(60, 0))
    copies = noise(60, 1)
    copies[30:] = copies[:30]
    np.savez("samples.npz", copies)
    for _ in range(2):  # from pixels, then with the features stored
        status, out, err = dar_bench("eval", "images", "reference.npz", "samples.npz", "--json")
        assert status == 0
        assert "Lint warning (duplicates)" in err
        assert "duplicates" in json.loads(out)["note"]
    status, out, err = dar_bench("eval", "images", "reference.npz", "samples.npz", "--strict")
    assert (status, out) == (1, "")
    assert err.count("Error:") == 1 and "duplicates" in err and "Without --strict" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("rfid", "--tokenizer", "small-tokenizer", "--data", "dots:val"),
        ("gfid", "--model", "small", "--samples", "20"),
    ],
)
def test_every_measurement_is_looked_over(dar_bench: Run, arguments: tuple[str, ...]) -> None:
    # So few images leave the covariance of 48 features without full rank.
    status, out, err = dar_bench("eval", *arguments, "--json")
    assert status == 0
    assert "Lint warning (rank-deficient)" in err
    assert "rank-deficient" in json.loads(out)["note"]
    status, _, err = dar_bench("eval", *arguments, "--results", "strict", "--strict")
    assert status == 1
    assert not Path("strict").exists()


def test_unreadable_files_are_left_out_on_demand_and_counted(dar_bench: Run) -> None:
    np.savez("reference.npz", noise(60, 0))
    Path("samples").mkdir()
    for index, image in enumerate(noise(30, 1)):
        Image.fromarray(image).save(f"samples/{index:02d}.png")
    for name in ("03", "17"):
        path = Path(f"samples/{name}.png")
        path.write_bytes(path.read_bytes()[:90])
    status, _, err = dar_bench("eval", "images", "reference.npz", "samples")
    assert status == 2 and "03.png" in err
    status, out, err = dar_bench("eval", "images", "reference.npz", "samples", "--skip-unreadable", "--json")
    assert status == 0, err
    sentence = "2 unreadable of 30 images of samples left out (03.png, 17.png)."
    assert sentence in err
    record = json.loads(out)
    assert record["samples"] == 28 and sentence in record["note"]
    for path in Path("samples").iterdir():
        path.write_bytes(b"no image")
    status, _, err = dar_bench("eval", "images", "reference.npz", "samples", "--skip-unreadable")
    assert status == 2 and "Cannot read the image" in err
