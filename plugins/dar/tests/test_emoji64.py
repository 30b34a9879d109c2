"""The shipped data set is what its README says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from dar_bench.data import open_source

FOLDER = Path(__file__).parents[1] / "dar_bench_dar/data/emoji64"
SPLITS = {"train": 4516, "val": 560}


@pytest.mark.parametrize(("split", "rows"), SPLITS.items())
def test_images(split, rows):
    source = open_source(FOLDER / f"{split}.parquet")
    assert len(source) == rows
    assert len(source.class_names) == 9
    assert set(source.labels()) == set(range(9))
    for index in range(0, rows, 20):
        assert source[index].image.size == (64, 64)
        assert source[index].image.mode == "RGB"


def test_the_splits_share_no_emoji():
    train, val = (
        set(pq.read_table(FOLDER / f"{split}.parquet")["codepoints"].to_pylist()) for split in SPLITS
    )
    assert train and val
    assert not train & val


def test_few_emoji_are_drawn_alike_in_both_splits():
    # Both designs draw some families and flags the same; the README tells how many, and it must stay true.
    train, val = (
        [np.asarray(example.image).tobytes() for example in open_source(FOLDER / f"{split}.parquet")]
        for split in SPLITS
    )
    known = set(train)
    alike = sum(pixels in known for pixels in val)
    assert alike == 11
    assert f"{alike} of the {len(val)} held-out images" in (FOLDER / "README.md").read_text()


def test_the_licences_travel_with_the_data():
    text = (FOLDER / "README.md").read_text()
    for words in ("Noto Emoji", "Apache License 2.0", "Twemoji", "CC-BY 4.0"):
        assert words in text
