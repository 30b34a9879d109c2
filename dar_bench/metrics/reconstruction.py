"""How near a reconstruction is to its original, pixel by pixel: PSNR and SSIM of 8-bit images."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.ndimage import correlate1d

from dar_bench.errors import UserError
from dar_bench.metrics.estimate import Float64Array

DATA_RANGE = 255.0

# The constants of Wang et al. (2004), section III.B and III.C: an 11 x 11 Gaussian window of deviation 1.5.
SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
SSIM_K1 = 0.01
SSIM_K2 = 0.03

Images = npt.NDArray[np.uint8]


def psnr(originals: Images, reconstructions: Images) -> Float64Array:
    """Return the peak signal-to-noise ratio of every pair in dB, (n,): 10 log10(255^2 / mean squared error).

    The error is averaged over all pixels and channels of an image. Identical images give infinity.

    Args:
        originals, reconstructions: uint8 (n, C, H, W), row i of both the same image.

    Raises:
        UserError: other shapes or types.
    """
    check_pairs(originals, reconstructions)
    errors = np.array([_mean_squared_error(a, b) for a, b in zip(originals, reconstructions, strict=True)])
    with np.errstate(divide="ignore"):
        return np.asarray(10.0 * np.log10(DATA_RANGE**2 / errors), dtype=np.float64)


def highest_psnr(image_shape: tuple[int, ...]) -> float:
    """Return the highest finite PSNR in dB: images (C, H, W) that differ by one level in one value."""
    return 10.0 * math.log10(DATA_RANGE**2 * math.prod(image_shape))


def ssim(originals: Images, reconstructions: Images) -> Float64Array:
    """Return the structural similarity of every pair, (n,), each at most 1 (Wang et al. 2004, Eq. 13).

    Per channel, Gaussian window 11 x 11 with deviation 1.5, K1 = 0.01, K2 = 0.03, data range 255, moments
    with the divisor of the window's weights; averaged over the places where the window fits into the image
    and over channels.

    Args:
        originals, reconstructions: uint8 (n, C, H, W), row i of both the same image.

    Raises:
        UserError: other shapes or types, or images smaller than the window.
    """
    check_pairs(originals, reconstructions)
    if min(originals.shape[-2:]) < SSIM_WINDOW:
        raise UserError(
            f"SSIM needs images of at least {SSIM_WINDOW} x {SSIM_WINDOW} pixels, "
            f"got {originals.shape[-1]} x {originals.shape[-2]}."
        )
    return np.array([_ssim_of_pair(a, b) for a, b in zip(originals, reconstructions, strict=True)])


def check_pairs(originals: Images, reconstructions: Images) -> None:
    """Refuse two arrays that are not pairs of 8-bit images.

    Raises:
        UserError: with the counts, shapes or types that differ.
    """
    if originals.dtype != np.uint8 or reconstructions.dtype != np.uint8:
        raise UserError(
            f"Reconstructions are scored on uint8 images, got {originals.dtype} and {reconstructions.dtype}.",
            hint="Round to 0..255 first, as the images would be saved.",
        )
    if originals.ndim != 4 or originals.shape != reconstructions.shape:
        raise UserError(
            f"Originals {originals.shape} and reconstructions {reconstructions.shape} are not pairs.",
            why="Both must be (n, C, H, W) with the same image in every row.",
        )


def _mean_squared_error(original: Images, reconstruction: Images) -> float:
    difference = original.astype(np.float64) - reconstruction.astype(np.float64)
    return float((difference**2).mean())


def _ssim_of_pair(original: Images, reconstruction: Images) -> float:
    x, y = original.astype(np.float64), reconstruction.astype(np.float64)
    mean_x, mean_y, square_x, square_y, product = (_blur(field) for field in (x, y, x * x, y * y, x * y))
    variance_x, variance_y = square_x - mean_x**2, square_y - mean_y**2
    covariance = product - mean_x * mean_y
    c1, c2 = (SSIM_K1 * DATA_RANGE) ** 2, (SSIM_K2 * DATA_RANGE) ** 2
    similarity = ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / (
        (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    )
    return float(similarity.mean())


def _blur(field: Float64Array) -> Float64Array:
    """Return the window's weighted means of (C, H, W) where it fits, (C, H - 10, W - 10)."""
    radius = SSIM_WINDOW // 2
    rows = correlate1d(field, _WINDOW, axis=1)[:, radius:-radius]
    return np.asarray(correlate1d(rows, _WINDOW, axis=2)[:, :, radius:-radius], dtype=np.float64)


def _window() -> Float64Array:
    offsets = np.arange(SSIM_WINDOW) - SSIM_WINDOW // 2
    weights = np.exp(-(offsets**2) / (2 * SSIM_SIGMA**2))
    return np.asarray(weights / weights.sum(), dtype=np.float64)


_WINDOW = _window()
