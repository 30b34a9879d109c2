from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dar_bench.grids import Row, contact_sheet, enlarge, write_png, write_sheet

RED = np.full((32, 32, 3), (255, 0, 0), np.uint8)
BLUE = np.full((32, 32, 3), (0, 0, 255), np.uint8)


@pytest.mark.parametrize(("side", "shown"), [(8, 96), (32, 96), (40, 120), (64, 128), (96, 96), (256, 256)])
def test_small_images_are_enlarged_by_whole_factors(side: int, shown: int) -> None:
    assert enlarge(np.zeros((side, side, 3), np.uint8)).size == (shown, shown)


def test_enlarging_repeats_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 24, 3), np.uint8)
    large = np.asarray(enlarge(pixels))
    assert large.shape == (96, 72, 3)
    assert (large[1::3, 1::3] == pixels).all()
    assert np.array_equal(np.unique(large), np.unique(pixels))


def test_rows_and_columns_are_where_they_belong() -> None:
    sheet = np.asarray(contact_sheet([Row("", [RED, BLUE]), Row("", [BLUE])]))
    assert sheet.shape == (12 + 2 * 100 - 4 + 12, 12 + 2 * 100 - 4 + 12, 3)
    assert (sheet[12:108, 12:108] == (255, 0, 0)).all()
    assert (sheet[12:108, 112:208] == (0, 0, 255)).all()
    assert (sheet[112:208, 12:108] == (0, 0, 255)).all()
    assert (sheet[112:208, 112:208] == 255).all(), "a shorter row leaves its place white"


def test_labels_headings_and_title_are_drawn_beside_the_images() -> None:
    plain = contact_sheet([Row("", [RED])])
    labelled = contact_sheet([Row("Food & Drink", [RED])], columns=["group 1"], title="Samples")
    pixels = np.asarray(labelled)
    assert labelled.height == plain.height + 2 * 20
    left = labelled.width - 96 - 12
    assert (pixels[-108:-12, left : left + 96] == (255, 0, 0)).all()
    for region in (pixels[-108:-12, :left], pixels[12:32], pixels[32:52, left:]):
        assert (region.min(axis=(0, 1)) < 128).all(), "there is ink"


def test_a_long_label_does_not_push_the_images_away() -> None:
    long, longer = (contact_sheet([Row("x" * count, [RED])]).width for count in (60, 600))
    assert long == longer


def test_images_of_different_size_share_a_cell() -> None:
    sheet = contact_sheet([Row("", [RED, np.zeros((128, 128, 3), np.uint8)])])
    assert sheet.size == (12 + 2 * 132 - 4 + 12, 12 + 128 + 12)


def test_nothing_to_show_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        contact_sheet([Row("empty", [])])


def test_files_are_lossless_and_whole(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (5, 7, 3), np.uint8)
    write_png(tmp_path / "deep/er/a.png", pixels)
    assert (np.asarray(Image.open(tmp_path / "deep/er/a.png")) == pixels).all()
    write_sheet(tmp_path / "sheet.png", [Row("a", [RED])])
    assert Image.open(tmp_path / "sheet.png").format == "PNG"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "sheet.png"]
