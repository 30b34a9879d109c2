from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file
from torchvision.transforms import functional

from dar_bench.data import transforms

GOLDEN = load_file(Path(__file__).with_name("center_crop.safetensors"))


def _image(height: int, width: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("case", [0, 1])
def test_center_crop_is_adms(case):
    ours = transforms.center_crop(Image.fromarray(GOLDEN[f"in{case}"]), 16)
    assert np.array_equal(ours, GOLDEN[f"out{case}"])


@pytest.mark.parametrize(("height", "width"), [(5, 9), (32, 32), (31, 400), (1, 1), (64, 63), (257, 300)])
@pytest.mark.parametrize("size", [16, 32])
def test_center_crop_of_any_size(height, width, size):
    pixels = transforms.center_crop(_image(height, width), size)
    assert pixels.shape == (size, size, 3)
    assert pixels.dtype == np.uint8


def test_center_crop_of_the_exact_size_changes_nothing():
    image = _image(32, 32)
    assert np.array_equal(transforms.center_crop(image, 32), np.asarray(image))


def test_halving_is_a_box_mean():
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    mean = pixels.reshape(32, 2, 32, 2, 3).astype(float).mean((1, 3))
    # Pillow averages rows, then columns, and rounds after both: half a value each.
    assert np.abs(transforms.center_crop(Image.fromarray(pixels), 32) - mean).max() <= 1.0


def test_random_crop_is_reproducible_and_reaches_every_place():
    # A ramp tells where a crop was taken from; at scale 1 nothing is resized.
    ramp = np.zeros((16, 20, 3), dtype=np.uint8)
    ramp[..., 0] = np.arange(20)
    image = Image.fromarray(ramp)
    random = np.random.default_rng(0)
    lefts = {int(transforms.random_crop(image, 16, random, 1.0, 1.0)[0, 0, 0]) for _ in range(200)}
    assert lefts == {0, 1, 2, 3, 4}
    one = transforms.random_crop(image, 8, np.random.default_rng(3))
    assert np.array_equal(one, transforms.random_crop(image, 8, np.random.default_rng(3)))


class _Scripted:
    """Stands for a generator: notes the ranges asked for and answers with the lowest or highest value."""

    def __init__(self, highest: bool):
        self.highest = highest
        self.ranges: list[tuple[int, int]] = []

    def integers(self, low: int, high: int | None = None) -> int:
        low, high = (0, low) if high is None else (low, high)
        self.ranges.append((low, high))
        return high - 1 if self.highest else low


def test_random_crop_draws_from_adms_ranges():
    lowest, highest = _Scripted(highest=False), _Scripted(highest=True)
    image = _image(300, 400)
    first = transforms.random_crop(image, 256, lowest)
    last = transforms.random_crop(image, 256, highest)
    # The short side is from ceil(256 / 1.0) to ceil(256 / 0.8) inclusive; offsets are whatever fits.
    assert lowest.ranges == [(256, 321), (0, 1), (0, 341 - 256 + 1)]
    assert highest.ranges == [(256, 321), (0, 320 - 256 + 1), (0, 427 - 256 + 1)]
    small = np.asarray(image.resize((341, 256), Image.Resampling.BICUBIC))
    large = np.asarray(image.resize((427, 320), Image.Resampling.BICUBIC))
    assert np.array_equal(first, small[:256, :256])
    assert np.array_equal(last, large[-256:, -256:])


@pytest.mark.parametrize("scales", [(0.0, 1.0), (0.9, 0.8), (0.8, 1.1)])
def test_random_crop_refuses_other_fractions(scales):
    with pytest.raises(ValueError, match="min_scale"):
        transforms.random_crop(_image(8, 8), 8, np.random.default_rng(0), *scales)


@pytest.mark.parametrize("size", [32, 30, 26, 256])
def test_ten_crop_is_torchvisions(size):
    image = _image(90, 70)
    square = transforms.center_crop(image, int(size * 1.1))
    tensor = torch.from_numpy(square.copy()).permute(2, 0, 1)
    theirs = torch.stack(functional.ten_crop(tensor, size)).permute(0, 2, 3, 1).numpy()
    ours = transforms.ten_crop(image, size)
    assert ours.shape == (10, size, size, 3)
    assert np.array_equal(ours, theirs)


def test_ten_crop_cannot_shrink():
    with pytest.raises(ValueError, match="at least 1"):
        transforms.ten_crop(_image(8, 8), 8, 0.9)


def test_flip_and_layout():
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    assert np.array_equal(transforms.flip(pixels)[:, 0], pixels[:, 2])
    assert np.array_equal(transforms.flip(transforms.flip(pixels)), pixels)
    chw = transforms.to_chw(pixels)
    assert chw.shape == (3, 2, 3)
    assert chw.flags.c_contiguous
    assert chw[1, 0, 2] == pixels[0, 2, 1]
    random = np.random.default_rng(0)
    flips = [np.array_equal(transforms.random_flip(pixels, random), pixels) for _ in range(400)]
    assert 160 < sum(flips) < 240
