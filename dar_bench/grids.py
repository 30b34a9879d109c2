"""Contact sheets: labelled rows of images in one PNG, small images enlarged so that a person can see them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dar_bench.data.transforms import Pixels
from dar_bench.files import atomic_path

READABLE_SIDE = 96
"""Images are enlarged by the least whole factor that makes their longer side at least this many pixels."""

MAX_LABEL = 32
"""Characters of a label; longer ones are cut."""

_GAP = 4
_MARGIN = 12
_FONT_SIZE = 14
_BACKGROUND = "white"
_INK = (40, 40, 40)


@dataclass(frozen=True)
class Row:
    """One row of a sheet.

    Attributes:
        label: written before the row; may be empty.
        images: uint8 (H, W, 3) each.
    """

    label: str
    images: Sequence[Pixels]


def contact_sheet(
    rows: Sequence[Row], *, columns: Sequence[str] = (), title: str = "", side: int = READABLE_SIDE
) -> Image.Image:
    """Draw rows of images on white.

    All images share one cell size, that of the largest after enlargement; enlarging repeats pixels (nearest
    neighbour), so that nothing is smoothed away.

    Args:
        rows: from top to bottom; they may have different lengths.
        columns: written above the columns.
        title: written above everything.
        side: see ``READABLE_SIDE``.

    Returns:
        An RGB image.

    Raises:
        ValueError: there is no image at all.
    """
    drawn = [[enlarge(image, side) for image in row.images] for row in rows]
    images = [image for row in drawn for image in row]
    if not images:
        raise ValueError("a contact sheet needs at least one image")
    cell = (max(image.width for image in images), max(image.height for image in images))
    count = max(len(row) for row in drawn)
    font = ImageFont.load_default(_FONT_SIZE)
    labels = [_shorten(row.label) for row in rows]
    heads = [_shorten(text) for text in columns]
    line = _FONT_SIZE + 6
    left = _MARGIN + max((math.ceil(font.getlength(text)) + _MARGIN for text in labels if text), default=0)
    top = _MARGIN + line * (bool(title) + bool(heads))
    step = (max([cell[0], *(math.ceil(font.getlength(text)) for text in heads)]) + _GAP, cell[1] + _GAP)
    width = left + count * step[0] - _GAP + _MARGIN
    if title:
        width = max(width, math.ceil(font.getlength(title)) + 2 * _MARGIN)
    sheet = Image.new("RGB", (width, top + len(rows) * step[1] - _GAP + _MARGIN), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    if title:
        draw.text((_MARGIN, _MARGIN), title, fill=_INK, font=font, anchor="la")
    for number, text in enumerate(heads):
        place = (left + number * step[0] + cell[0] / 2, top - line)
        draw.text(place, text, fill=_INK, font=font, anchor="ma")
    for row_number, (text, row) in enumerate(zip(labels, drawn, strict=True)):
        y = top + row_number * step[1]
        if text:
            draw.text((left - _MARGIN, y + cell[1] / 2), text, fill=_INK, font=font, anchor="rm")
        for number, image in enumerate(row):
            x = left + number * step[0]
            sheet.paste(image, (x, y))
    return sheet


def enlarge(pixels: Pixels, side: int = READABLE_SIDE) -> Image.Image:
    """Return pixels (H, W, 3) as an image, enlarged by a whole factor until its longer side is ``side``."""
    factor = max(1, math.ceil(side / max(pixels.shape[:2])))
    return Image.fromarray(np.repeat(np.repeat(pixels, factor, axis=0), factor, axis=1))


def write_sheet(
    path: str | Path, rows: Sequence[Row], *, columns: Sequence[str] = (), title: str = ""
) -> None:
    """Draw a contact sheet and write it as PNG, completely or not at all."""
    write_png(path, contact_sheet(rows, columns=columns, title=title))


def write_png(path: str | Path, image: Image.Image | Pixels) -> None:
    """Write one image, PIL or uint8 (H, W, 3), as PNG, completely or not at all.

    Raises:
        UserError: the disk is full or the folder cannot be written to.
    """
    drawn = image if isinstance(image, Image.Image) else Image.fromarray(image)
    with atomic_path(path) as temporary:
        drawn.save(temporary, format="PNG")


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_LABEL else text[: MAX_LABEL - 1] + "…"
