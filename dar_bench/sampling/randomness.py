"""Counter-based randomness: what sample i draws depends on (run seed, i, use) and on nothing else.

No batch size, order, device, process count or earlier draw can change a sample, which is what lets runs be
resumed, sharded and compared. The recipe is fixed, so that the same numbers come out in ten years:

1. Key: BLAKE2b with a 16-byte digest of the text ``dar-bench/1|seed|index|use``, read as two little-endian
   64-bit words.
2. Stream: the raw words of NumPy's ``Philox`` (4x64, ten rounds) under that key. NumPy promises never to
   change a bit generator's raw stream; it makes no such promise for its distributions, so none is used.
3. Uniforms: the upper 53 bits k of a word become (k + 1) / 2**53, in (0, 1].
4. Normals: Box-Muller in float64 on consecutive pairs of uniforms, rounded to float32.

All draws are prefix-stable: asking for more values never changes the first ones.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

    from dar_bench.api import SampleKeys

_SCHEME = "dar-bench/1"


def words(keys: SampleKeys, use: str, count: int) -> npt.NDArray[np.uint64]:
    """Return ``count`` words of 64 random bits for every sample, uint64 (B, count).

    Args:
        keys: the samples.
        use: names the purpose (``"tokens"``, ``"noise"``); different uses are independent streams.
        count: words per sample.
    """
    return np.stack([_words(keys.seed, index, use, count) for index in keys.indices])


def uniforms(keys: SampleKeys, use: str, count: int) -> npt.NDArray[np.float64]:
    """Return ``count`` uniforms in (0, 1] for every sample.

    Args:
        keys: the samples.
        use: names the purpose (``"tokens"``, ``"noise"``); different uses are independent streams.
        count: values per sample.

    Returns:
        float64 (B, count). Zero never occurs: logarithms are safe, and no event of probability 0 is drawn.
    """
    out = np.empty((len(keys), count), dtype=np.float64)
    for row, index in enumerate(keys.indices):
        out[row] = _unit_interval(_words(keys.seed, index, use, count))
    return out


def normals(keys: SampleKeys, use: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Return standard normals for every sample.

    Args:
        keys: the samples.
        use: names the purpose; different uses are independent streams.
        shape: of one sample's values.

    Returns:
        float32 (B, *shape), on the CPU.
    """
    import torch

    count = math.prod(shape)
    pairs = (count + 1) // 2
    out = np.empty((len(keys), 2 * pairs), dtype=np.float32)
    for row, index in enumerate(keys.indices):
        unit = _unit_interval(_words(keys.seed, index, use, 2 * pairs))
        radius = np.sqrt(-2.0 * np.log(unit[0::2]))
        angle = (2.0 * math.pi) * unit[1::2]
        out[row, 0::2] = radius * np.cos(angle)
        out[row, 1::2] = radius * np.sin(angle)
    return torch.from_numpy(out[:, :count].reshape(len(keys), *shape))


def integers(keys: SampleKeys, use: str, low: int, high: int, count: int) -> npt.NDArray[np.int64]:
    """Return ``count`` integers in [low, high) for every sample.

    A word w becomes ``low + floor(w * (high - low) / 2**64)``, whose bias is below (high - low) / 2**64.

    Args:
        keys: the samples.
        use: names the purpose; different uses are independent streams.
        low: smallest value.
        high: one more than the largest value; ``high - low`` is at most 2**32 - 1.
        count: values per sample.

    Returns:
        int64 (B, count).

    Raises:
        ValueError: for an empty or too wide range.
    """
    if not 0 < high - low < 2**32:
        raise ValueError(f"integers needs 0 < high - low < 2**32, got low={low}, high={high}")
    span, half = np.uint64(high - low), np.uint64(32)
    out = np.empty((len(keys), count), dtype=np.int64)
    for row, index in enumerate(keys.indices):
        words = _words(keys.seed, index, use, count)
        # The upper 64 bits of the 96-bit product w * span, from two products that fit into 64 bits.
        carry = ((words & np.uint64(0xFFFFFFFF)) * span) >> half
        out[row] = (((words >> half) * span + carry) >> half).astype(np.int64)
    return out + low


def _unit_interval(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    return ((words >> np.uint64(11)) + np.uint64(1)).astype(np.float64) * 2.0**-53


def _words(seed: int, index: int, use: str, count: int) -> npt.NDArray[np.uint64]:
    digest = hashlib.blake2b(f"{_SCHEME}|{seed}|{index}|{use}".encode(), digest_size=16).digest()
    key = np.frombuffer(digest, dtype="<u8").astype(np.uint64)
    return np.random.Philox(key=key).random_raw(count)
