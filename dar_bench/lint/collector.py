"""The lint of a sample set: fed batches as they pass on their way to the extractor, asked at the end.

    lint = SampleLint(Expectations(size=256))
    for images, labels in batches:
        lint.add(images, labels)        # what the extractor gets, nothing is read twice
    findings = lint.findings(features)

Memory stays small whatever the number of samples: a hash, a name and a label for each, one histogram.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dar_bench.array_files import Arrays
from dar_bench.lint.features import check_features
from dar_bench.lint.files import FileFacts, FileTally
from dar_bench.lint.findings import Finding, finding, ordered
from dar_bench.lint.labels import check_labels
from dar_bench.lint.looks import level_sum
from dar_bench.lint.pairs import PairTally
from dar_bench.lint.pixels import PixelTally
from dar_bench.metrics.inception_score import ADM_SPLIT

if TYPE_CHECKING:
    from dar_bench.features.base import Features

ADM_COUNT = 50_000
"""Samples that published scores are of."""


@dataclass(frozen=True, kw_only=True)
class Expectations:
    """What a protocol expects of a sample set.

    Attributes:
        count: samples; ``None`` where no number is prescribed.
        split: samples in a run of the inception score.
        size: side in pixels; ``None`` where any single size will do.
        cropped: images of any size will do, because they are cropped before they are measured.
        classes: how many classes there are; ``None`` to take it from the labels.
        even_labels: whether every class should come equally often.
    """

    count: int | None = ADM_COUNT
    split: int = ADM_SPLIT
    size: int | None = None
    cropped: bool = False
    classes: int | None = None
    even_labels: bool = True


class SampleLint:
    """Gathers what the rules need while the samples pass. Several threads may add at once.

    Args:
        expect: what the protocol expects.
    """

    def __init__(self, expect: Expectations | None = None):
        self.expect = expect or Expectations()
        self._pixels = PixelTally()
        self._files = FileTally()
        self._pairs = PairTally()
        self._labels: list[NDArray[np.int64]] = []
        self._sizes: Counter[tuple[int, int]] = Counter()
        self._count = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._count

    def add(
        self,
        images: Any,
        labels: Any = None,
        *,
        channels_last: bool = False,
        keys: Sequence[str] = (),
    ) -> None:
        """Take a batch in file order.

        Args:
            images: numpy array or torch tensor (b, 3, H, W), with ``channels_last`` (b, H, W, 3); uint8, or
                whatever else a file held, which is then a finding.
            labels: int (b,), or ``None`` where there are none; negative ones count as none.
            keys: names of the images for messages; their running numbers where not given.
        """
        batch = _as_array(images)
        if not channels_last:
            batch = batch.transpose(0, 2, 3, 1)
        with self._lock:
            first = self._count
            named = list(keys) or [f"image {first + number}" for number in range(len(batch))]
            self._count += len(batch)
            self._sizes[(int(batch.shape[1]), int(batch.shape[2]))] += len(batch)
            self._pixels.add(batch, named)
            if labels is not None:
                self._labels.append(_as_array(labels).astype(np.int64))

    def compare(self, originals: Any, reconstructions: Any) -> None:
        """Take a batch of pairs, uint8 arrays or tensors of one shape; the reconstructions are added apart."""
        with self._lock:
            self._pairs.add(_as_array(originals), _as_array(reconstructions))

    def recall(self, looks: Arrays, hashes: NDArray[np.uint8], size: int) -> None:
        """Take samples that were seen before, from what was kept of them (``dar_bench.lint.looks``).

        Args:
            looks: of each sample; what older versions kept may lack some, and says that much less.
            hashes: uint8 (n, 32), of each image.
            size: side of the images in pixels.
        """
        count = len(hashes)
        blank = looks.get("blank", np.zeros(count, dtype=np.uint8))
        with self._lock:
            self._count += count
            self._sizes[(size, size)] += count
            counted = min(count, self._pixels.levels_wanted()) if "levels" in looks else 0
            levels = level_sum(looks, "levels", counted)
            self._pixels.recall(
                [row.tobytes() for row in hashes], blank.astype(bool).tolist(), levels, counted
            )
            if "difference" in looks:
                wanted = self._pairs.wanted()
                self._pairs.recall(looks["difference"][:wanted], level_sum(looks, "original_levels", wanted))

    def recall_pixels(self, images: NDArray[np.uint8]) -> None:
        """Take the first pixels of a run, uint8 (m, 3, H, W), of which ``recall`` tells the rest."""
        self._pixels.recall_pixels(images.transpose(0, 2, 3, 1))

    def see_file(self, facts: FileFacts) -> None:
        """Take what an image's file told before it became an array."""
        with self._lock:
            self._files.add(facts)

    def set_labels(self, labels: NDArray[np.int64]) -> None:
        """Take the labels of all samples at once, in file order."""
        self._labels = [np.asarray(labels, dtype=np.int64)]

    def findings(self, features: Features | None = None) -> list[Finding]:
        """Return what was found, the gravest first.

        Args:
            features: of all samples, in file order; the rules on class probabilities, covariance rank and
                finite features need them, the others do not.
        """
        count = self._count or (0 if features is None else len(features))
        labels = np.concatenate(self._labels) if self._labels else np.empty(0, dtype=np.int64)
        found = self._files.findings() + self._size_findings()
        told = {one.rule for one in found}
        found += [one for one in self._pixels.findings() if one.rule not in told]
        found += self._pairs.findings()
        if features is not None:
            found += check_features(features, split=self.expect.split, copies=self._count == 0)
        rules = {one.rule for one in found}
        if len(labels) and labels.min() >= 0:
            # The scores themselves say more about the order than the labels do.
            judged = check_labels(
                labels,
                split=self.expect.split,
                classes=self.expect.classes,
                order="class-sorted" not in rules,
            )
            found += [one for one in judged if self.expect.even_labels or one.rule != "label-imbalance"]
        found += self._count_findings(count, with_split="short-split" not in rules)
        return ordered(found)

    def _size_findings(self) -> list[Finding]:
        sizes = self._files.sizes or self._sizes
        if not sizes or self.expect.cropped:
            return []
        listed = ", ".join(
            f"{width}x{height} ({number:,})" for (height, width), number in sizes.most_common(4)
        )
        if len(sizes) > 1:
            seen = f"The images have {len(sizes)} sizes: {listed}{', ...' if len(sizes) > 4 else ''}."
            return [finding("mixed-sizes", seen, sizes=len(sizes))]
        (height, width), expected = next(iter(sizes)), self.expect.size
        if expected is not None and (height, width) != (expected, expected):
            seen = f"The images are {width}x{height} pixels, expected were {expected}x{expected}."
            return [finding("wrong-size", seen, width=width, height=height, expected=expected)]
        return []

    def _count_findings(self, count: int, *, with_split: bool) -> list[Finding]:
        found = []
        expected, split = self.expect.count, self.expect.split
        if expected is not None and count and count != expected:
            seen = f"There are {count:,} samples, the protocol has {expected:,}."
            found.append(finding("sample-count", seen, samples=count, expected=expected))
        if with_split and count > split and count % split:
            found.append(
                finding(
                    "short-split",
                    f"{count:,} samples leave a last run of {count % split:,} after {count // split} of "
                    f"{split:,}.",
                    last_run=count % split,
                )
            )
        return found


def _as_array(values: Any) -> NDArray[Any]:
    """Return a numpy view of an array or tensor, without importing torch."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    return np.asarray(values)
