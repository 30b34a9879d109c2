from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from dar_bench.data import open_source
from dar_bench.data.base import decode_image
from dar_bench.errors import UserError


def _save(image: Image.Image, kind: str = "png", **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _pixel(data: bytes, x: int = 0, y: int = 0) -> tuple[int, ...]:
    image = decode_image(data, "it")
    assert image.mode == "RGB"
    return image.getpixel((x, y))


def test_alpha_is_composited_on_white():
    image = Image.new("RGBA", (2, 1), (200, 0, 0, 0))
    image.putpixel((1, 0), (100, 0, 0, 51))
    data = _save(image)
    assert _pixel(data) == (255, 255, 255)
    # 51/255 is a fifth of the colour and four fifths of white.
    assert _pixel(data, 1) == (224, 204, 204)


def test_grey_with_alpha_and_palette_with_transparency():
    assert _pixel(_save(Image.new("LA", (1, 1), (0, 0)))) == (255, 255, 255)
    palette = Image.new("P", (2, 1), 0)
    palette.putpalette([9, 8, 7, 10, 20, 30])
    palette.putpixel((1, 0), 1)
    assert _pixel(_save(palette), 1) == (10, 20, 30)
    see_through = _save(palette, transparency=0)
    assert _pixel(see_through) == (255, 255, 255)
    assert _pixel(see_through, 1) == (10, 20, 30)


def test_transparent_colour_of_an_rgb_image():
    assert _pixel(_save(Image.new("RGB", (1, 1), (1, 2, 3)), transparency=(1, 2, 3))) == (255, 255, 255)


def test_grey_bits_and_cmyk():
    assert _pixel(_save(Image.new("L", (1, 1), 77))) == (77, 77, 77)
    assert _pixel(_save(Image.new("1", (1, 1), 1))) == (255, 255, 255)
    assert _pixel(_save(Image.new("CMYK", (1, 1), (0, 255, 255, 0)), "tiff")) == (255, 0, 0)


@pytest.mark.parametrize(("value", "wanted"), [(0, 0), (257, 1), (128 * 257, 128), (65535, 255)])
def test_sixteen_bit_grey_is_scaled(value, wanted):
    data = _save(Image.fromarray(np.full((1, 1), value, dtype=np.uint16)))
    assert _pixel(data) == (wanted,) * 3


def test_orientation_tag_is_not_applied():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = _save(Image.new("RGB", (4, 2)), "jpeg", exif=exif)
    assert decode_image(data, "it").size == (4, 2)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"no image at all", "no known image format"),
        (_save(Image.new("F", (1, 1)), "tiff"), "range"),
    ],
)
def test_bytes_that_are_no_image(data, why):
    with pytest.raises(UserError, match=rf"Cannot read the image it\..*{why}"):
        decode_image(data, "it")


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "bmp"])
def test_every_truncation_is_refused_by_name(kind):
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    data = _save(Image.fromarray(pixels), kind)
    for length in range(1, len(data) * 3 // 4, 37):
        with pytest.raises(UserError, match="Cannot read the image x"):
            decode_image(data[:length], "x")


def test_damaged_file_is_named_with_its_index(image_folder):
    (image_folder / "dog/y.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    source = open_source(image_folder)
    assert source[1].label == 0
    with pytest.raises(UserError, match=r"images/dog/y\.png \(image 2 of "):
        source[2]
