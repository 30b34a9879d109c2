from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from dar_bench.errors import UserError
from dar_bench.metrics.reconstruction import highest_psnr, psnr, ssim

Images = npt.NDArray[np.uint8]


def pair(kind: str) -> tuple[Images, Images]:
    """One image and a disturbed copy, uint8 (1, 3, 24, 20)."""
    random = np.random.default_rng(7)
    noise = random.integers(0, 256, (3, 24, 20), dtype=np.uint8)
    disturbed = np.clip(noise.astype(int) + random.integers(-40, 41, noise.shape), 0, 255).astype(np.uint8)
    if kind == "noise":
        return noise[None], disturbed[None]
    y, x = np.mgrid[0:24, 0:20]
    ramps = np.stack([(5 * y + 3 * x) % 256, (7 * y) % 256, (2 * x * y) % 256]).astype(np.uint8)
    disturbed = np.clip(ramps.astype(int) + random.integers(-12, 13, ramps.shape), 0, 255).astype(np.uint8)
    return ramps[None], disturbed[None]


# From scikit-image 0.26.0: structural_similarity(channel_axis=0, gaussian_weights=True, sigma=1.5,
# use_sample_covariance=False, data_range=255) and peak_signal_noise_ratio(data_range=255).
@pytest.mark.parametrize(
    ("kind", "expected_ssim", "expected_psnr"),
    [("noise", 0.9523668239940971, 21.10885059154508), ("ramps", 0.8800563005975782, 31.17045709987343)],
)
def test_agrees_with_scikit_image(kind: str, expected_ssim: float, expected_psnr: float) -> None:
    original, reconstruction = pair(kind)
    assert ssim(original, reconstruction)[0] == pytest.approx(expected_ssim, rel=1e-10)
    assert psnr(original, reconstruction)[0] == pytest.approx(expected_psnr, rel=1e-12)


def test_scores_are_per_image_and_in_order() -> None:
    a, b = pair("noise")
    c, d = pair("ramps")
    originals, reconstructions = np.concatenate([a, c]), np.concatenate([b, d])
    assert psnr(originals, reconstructions) == pytest.approx([psnr(a, b)[0], psnr(c, d)[0]])
    assert ssim(originals, reconstructions) == pytest.approx([ssim(a, b)[0], ssim(c, d)[0]])


def test_identical_images() -> None:
    image, _ = pair("ramps")
    assert psnr(image, image)[0] == math.inf
    assert ssim(image, image)[0] == pytest.approx(1.0, rel=1e-12)


def test_one_level_in_one_value_is_the_highest_finite_psnr() -> None:
    image, _ = pair("noise")
    almost = image.copy()
    almost[0, 1, 2, 3] ^= 1
    assert psnr(image, almost)[0] == pytest.approx(highest_psnr((3, 24, 20)), rel=1e-12)


def test_a_flat_offset_has_a_closed_form() -> None:
    """Without variance only the luminance term is left, and the error is the offset."""
    one, other = np.full((1, 3, 16, 16), 100, np.uint8), np.full((1, 3, 16, 16), 110, np.uint8)
    c1 = (0.01 * 255) ** 2
    assert ssim(one, other)[0] == pytest.approx((2 * 100 * 110 + c1) / (100**2 + 110**2 + c1), rel=1e-9)
    assert psnr(one, other)[0] == pytest.approx(10 * math.log10(255**2 / 100))


@pytest.mark.parametrize(
    ("original", "reconstruction", "message"),
    [
        (np.zeros((1, 3, 16, 16)), np.zeros((1, 3, 16, 16), np.uint8), "uint8 images, got float64"),
        (np.zeros((2, 3, 16, 16), np.uint8), np.zeros((1, 3, 16, 16), np.uint8), "not pairs"),
        (np.zeros((3, 16, 16), np.uint8), np.zeros((3, 16, 16), np.uint8), "not pairs"),
        (np.zeros((1, 3, 10, 16), np.uint8), np.zeros((1, 3, 10, 16), np.uint8), "at least 11 x 11"),
    ],
)
def test_wrong_images_are_refused(original: Images, reconstruction: Images, message: str) -> None:
    with pytest.raises(UserError, match=message):
        ssim(original, reconstruction)
