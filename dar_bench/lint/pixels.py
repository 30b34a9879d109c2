"""What pixels tell: type and range, NaN, copies, blank images, grey levels, traces of JPEG."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dar_bench.lint.blocks import BLOCK, SHIFT, is_compressed
from dar_bench.lint.findings import Finding, finding
from dar_bench.lint.levels import LEVELS, check_levels

LEVEL_SAMPLE = 2048
"""Images whose grey levels are counted, the first ones: a millisecond each is saved on the others."""

JPEG_BLOCKS = 16_384
"""Blocks of 8x8 pixels that are searched for traces of JPEG, in the first images."""

_NAMED = 3


class PixelTally:
    """Gathers what the pixel rules need, one batch at a time."""

    def __init__(self) -> None:
        self._count = 0
        self._first_of: dict[bytes, str] = {}
        self._copies: list[tuple[str, str]] = []
        self._copy_count = 0
        self._blank: list[str] = []
        self._blank_count = 0
        self._levels = np.zeros(LEVELS, dtype=np.int64)
        self._levels_of = 0
        self._kept: list[NDArray[np.uint8]] = []
        self._kept_blocks = 0
        self._dtypes: set[str] = set()
        self._lowest, self._highest = np.inf, -np.inf
        self._not_finite = 0

    def add(self, batch: NDArray[Any], keys: Sequence[str]) -> None:
        """Take a batch (b, H, W, 3) of any type."""
        self._count += len(batch)
        self._dtypes.add(str(batch.dtype))
        self._find_range(batch)
        for image, key in zip(batch, keys, strict=True):
            self._find_copy(image, key)
        if batch.dtype == np.uint8:
            self._look_at_levels(batch)

    def recall(
        self, hashes: Sequence[bytes], blank: Sequence[bool], levels: NDArray[np.int64], levels_of: int
    ) -> None:
        """Take what was kept of uint8 images that were seen before (``dar_bench.lint.looks``).

        Args:
            hashes: of each. blank: whether it has a single colour.
            levels: int64 (256,), how often every level occurs in ``levels_of`` of them.
        """
        first = self._count
        self._count += len(hashes)
        self._dtypes.add("uint8")
        for number, (digest, single) in enumerate(zip(hashes, blank, strict=True), first):
            self._note_copy(digest, f"image {number}")
            if single:
                self._note_blank(f"image {number}")
        self._levels += levels
        self._levels_of += levels_of
        found = np.flatnonzero(levels)
        if len(found):
            self._lowest = min(self._lowest, float(found[0]))
            self._highest = max(self._highest, float(found[-1]))

    def recall_pixels(self, images: NDArray[np.uint8]) -> None:
        """Take kept pixels, (m, H, W, 3), for the rules that need some; the images were counted already."""
        if min(images.shape[1:3]) >= BLOCK + SHIFT:
            self._kept.append(images)

    def levels_wanted(self) -> int:
        """Return of how many more images grey levels are counted."""
        return max(0, LEVEL_SAMPLE - self._levels_of)

    def findings(self) -> list[Finding]:
        """Return what was found."""
        if not self._count:
            return []
        found = self._value_findings()
        if self._copy_count:
            named = "; ".join(f"{copy} is {original}" for copy, original in self._copies)
            found.append(
                finding(
                    "duplicates",
                    f"{self._copy_count:,} of {self._count:,} images are exact copies of another one ({named}"
                    f"{'; ...' if self._copy_count > len(self._copies) else ''}).",
                    copies=self._copy_count,
                    images=self._count,
                )
            )
        if self._blank_count:
            found.append(
                finding(
                    "blank-images",
                    f"{self._blank_count:,} of {self._count:,} images have a single colour "
                    f"({', '.join(self._blank)}{', ...' if self._blank_count > len(self._blank) else ''}).",
                    images=self._blank_count,
                )
            )
        if not any(one.rule == "wrong-range" for one in found):
            found += check_levels(self._levels)
        return found + self._jpeg_findings()

    def _value_findings(self) -> list[Finding]:
        found = []
        if self._not_finite:
            seen = f"{self._not_finite:,} of {self._count:,} images hold NaN or infinity."
            found.append(finding("not-finite", seen, images=self._not_finite))
        if self._highest < self._lowest:
            return found  # not one value is finite: there is no range to judge
        other = sorted(self._dtypes - {"uint8"})
        low, high = float(self._lowest), float(self._highest)
        span = f"values from {low:g} to {high:g}"
        if other:
            seen = f"The images are {', '.join(other)} with {span}, not uint8."
            found.append(finding("wrong-dtype", seen, lowest=low, highest=high))
        if high <= 1.0:
            intended = "[-1, 1]" if low < 0 else "[0, 1]"
            seen = f"All {span} lie in {intended}, where 0 to 255 was expected."
            found.append(finding("wrong-range", seen, lowest=low, highest=high))
        elif low < 0 or high > 255:
            seen = f"The {span} leave 0 to 255."
            found.append(finding("wrong-range", seen, lowest=low, highest=high))
        return found

    def _find_range(self, batch: NDArray[Any]) -> None:
        if batch.dtype.kind == "f":
            finite = np.isfinite(batch)
            self._not_finite += int((~finite.reshape(len(batch), -1).all(axis=1)).sum())
            batch = batch[finite]
        if batch.size:
            self._lowest = min(self._lowest, float(batch.min()))
            self._highest = max(self._highest, float(batch.max()))

    def _find_copy(self, image: NDArray[Any], key: str) -> None:
        data = np.ascontiguousarray(image)
        digest = hashlib.blake2b(data.data, digest_size=16, person=str(image.shape).encode()[:16]).digest()
        self._note_copy(digest, key)
        # The first row decides for almost every image.
        if (data[0] == data[0, 0]).all() and (data == data[0, 0]).all():
            self._note_blank(key)

    def _note_copy(self, digest: bytes, key: str) -> None:
        original = self._first_of.setdefault(digest, key)
        if original != key:
            self._copy_count += 1
            if len(self._copies) < _NAMED:
                self._copies.append((key, original))

    def _note_blank(self, key: str) -> None:
        self._blank_count += 1
        if len(self._blank) < _NAMED:
            self._blank.append(key)

    def _look_at_levels(self, batch: NDArray[np.uint8]) -> None:
        wanted = batch[: max(0, LEVEL_SAMPLE - self._levels_of)]
        if len(wanted):
            self._levels += np.bincount(wanted.reshape(-1), minlength=LEVELS)
            self._levels_of += len(wanted)
        height, width = batch.shape[1:3]
        blocks = (height // BLOCK) * (width // BLOCK)
        if min(height, width) >= BLOCK + SHIFT and self._kept_blocks < JPEG_BLOCKS:
            kept = batch[: -(-(JPEG_BLOCKS - self._kept_blocks) // blocks)]
            self._kept.append(kept.copy())  # the caller may use its memory again
            self._kept_blocks += blocks * len(kept)

    def _jpeg_findings(self) -> list[Finding]:
        by_size: dict[tuple[int, ...], list[NDArray[np.uint8]]] = {}
        for kept in self._kept:
            by_size.setdefault(kept.shape[1:3], []).append(kept)
        if not by_size:
            return []
        images = np.concatenate(max(by_size.values(), key=len))
        compressed, quantised, judged = is_compressed(images)
        if not compressed:
            return []
        return [
            finding(
                "jpeg-origin",
                f"In {quantised} of {judged} frequencies the cosine coefficients of aligned 8x8 blocks are "
                f"multiples of one step ({len(images):,} images looked at): the images were JPEG once.",
                quantised=quantised,
                judged=judged,
            )
        ]
