"""The trace of JPEG in pixels: cosine coefficients of the 8x8 grid that lie on multiples of a step.

JPEG rounds every cosine coefficient of aligned 8x8 blocks to multiples of a step, one step for each of the 64
frequencies. Decoded pixels are rounded again, which blurs a coefficient by some 0.3, so the multiples stay
visible: over the blocks of an image set, cos(2 pi c / step) averages near 1 instead of near 0. Coefficients
inside the zeroth multiple say nothing and are left out; the tail that remains of an ordinary (falling)
density averages below 0.

Nothing else does this. Blockiness at borders of 8 pixels does not count, because networks that paint in
patches show it too.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

BLOCK = 8
SHIFT = 4
STEPS = np.arange(2, 61)
"""Steps that are tried, in grey levels; finer ones are below what rounding the pixels leaves visible."""

ENOUGH = 200
"""Fewest coefficients outside the zeroth multiple that are judged."""

COHERENT = 0.15
"""Average from which a frequency counts as quantised: clean sets stayed below 0.06, JPEG of quality 95 and
subsampled colour reached 0.14 to 0.4 on flat artwork and 0.5 to 0.8 elsewhere."""

DEVIATIONS = 8.0
"""Of few coefficients the average must also exceed what chance does (deviation 1 / sqrt(2 n)) so many times."""

FREQUENCIES_NEEDED = 4
"""Quantised frequencies from which a set counts as compressed."""

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
# Frequencies with coefficients that are often not zero; the lowest 20 except the block's mean.
_FREQUENCIES = sorted(
    ((u, v) for u in range(BLOCK) for v in range(BLOCK) if 0 < u + v <= 5), key=lambda pair: (sum(pair), pair)
)


def coefficients(images: NDArray[np.uint8], shift: int = 0) -> NDArray[np.float32]:
    """Return the low cosine coefficients of the luma of all whole blocks, (blocks, 20).

    Args:
        images: uint8 (n, H, W, 3), H and W at least 8 + ``shift``.
        shift: where the grid starts, in both directions.
    """
    luma = images.astype(np.float32) @ _LUMA
    n, rows, columns = len(luma), (luma.shape[1] - shift) // BLOCK, (luma.shape[2] - shift) // BLOCK
    used = luma[:, shift : shift + rows * BLOCK, shift : shift + columns * BLOCK]
    blocks = used.reshape(n, rows, BLOCK, columns, BLOCK)
    transform = _cosines()
    found = np.einsum("ux,nrxcy,vy->nrcuv", transform, blocks, transform, optimize=True)
    chosen = [found[..., u, v].reshape(-1) for u, v in _FREQUENCIES]
    return np.stack(chosen, axis=1)


def is_compressed(images: NDArray[np.uint8]) -> tuple[bool, int, int]:
    """Tell whether images were JPEG, and how many of the judged frequencies lie on multiples of a step.

    The grid that is shifted by half a block is the control: artwork of few discrete patterns shows multiples
    on any grid.

    Args:
        images: uint8 (n, H, W, 3), H and W at least 12.
    """
    quantised, judged = quantised_frequencies(coefficients(images))
    elsewhere, _ = quantised_frequencies(coefficients(images, SHIFT))
    return quantised >= FREQUENCIES_NEEDED and elsewhere < quantised / 2, quantised, judged


def quantised_frequencies(values: NDArray[np.float32]) -> tuple[int, int]:
    """Return how many frequencies lie on multiples of some step, and how many could be judged.

    Args:
        values: (blocks, frequencies), as ``coefficients`` returns them.
    """
    quantised = judged = 0
    for column in values.T:
        verdicts = [verdict for step in STEPS if (verdict := _is_quantised(column, int(step))) is not None]
        judged += bool(verdicts)
        quantised += any(verdicts)
    return quantised, judged


def _is_quantised(values: NDArray[np.float32], step: int) -> bool | None:
    outside = values[np.abs(values) > step / 2]
    if len(outside) < ENOUGH:
        return None
    coherence = float(np.cos(2 * math.pi * outside.astype(np.float64) / step).mean())
    return coherence > max(COHERENT, DEVIATIONS / math.sqrt(2 * len(outside)))


@cache
def _cosines() -> NDArray[np.float32]:
    """Return the orthonormal type-II cosine transform of eight values."""
    place = np.arange(BLOCK)
    rows = np.cos(math.pi * (2 * place[None, :] + 1) * place[:, None] / (2 * BLOCK)) * math.sqrt(2 / BLOCK)
    rows[0] /= math.sqrt(2)
    return rows.astype(np.float32)
