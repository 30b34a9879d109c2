"""Lint of a sample set on its own, without a measurement."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dar_bench.errors import UserError
from dar_bench.lint.arrays import array_batches, array_facts
from dar_bench.lint.collector import Expectations, SampleLint
from dar_bench.lint.findings import Finding, finding, ordered
from dar_bench.lint.source import WatchedSource

if TYPE_CHECKING:
    from dar_bench.data import ImageSource
    from dar_bench.features.base import Extractor, Features

OnImages = Callable[[int], Any]
_NAMED = 3
_BATCH = 64


@dataclass(frozen=True, kw_only=True)
class LintReport:
    """What came of a lint.

    Attributes:
        samples: what the user called the set.
        count: images that were read.
        findings: the gravest first.
    """

    samples: str
    count: int
    findings: list[Finding]


def lint_samples(
    samples: str,
    expect: Expectations,
    *,
    extractor: Extractor | None = None,
    on_images: OnImages = lambda count: None,
) -> LintReport:
    """Read a sample set once and judge it.

    Args:
        samples: anything that ``open_source`` reads, or an npz whose ``arr_0`` is of another type.
        expect: what the protocol expects.
        extractor: extract features too, for the rules that need them.
        on_images: told how many more images were read.

    Raises:
        UserError: there is no such set, or nothing in it can be read.
    """
    lint = SampleLint(expect)
    path = Path(samples).expanduser()
    if path.suffix.lower() == ".npz" and path.is_file():
        facts = array_facts(path)
        if facts is not None and facts[0] and facts[1] != np.uint8:
            for batch in array_batches(path):
                lint.add(batch, channels_last=True)
                on_images(len(batch))
            return LintReport(samples=samples, count=len(lint), findings=lint.findings())
    from dar_bench.data import open_source

    source = WatchedSource(open_source(samples), lint)
    unreadable: list[str] = []
    images = _readable(source, unreadable, on_images)
    if extractor is None:
        for _ in images:
            pass
        features = None
    else:
        features = _features(images, extractor)
    findings = lint.findings(features)
    if unreadable:
        findings.append(_unreadable(unreadable, len(source)))
    return LintReport(samples=samples, count=len(lint), findings=ordered(findings))


def _readable(source: ImageSource, unreadable: list[str], on_images: OnImages) -> Iterator[NDArray[np.uint8]]:
    """Yield the images (H, W, 3) that can be read; note the keys of the others."""
    first: UserError | None = None
    for index in range(len(source)):
        try:
            image = source[index].image
        except UserError as error:
            first = first or error
            unreadable.append(source.key(index))
        else:
            yield np.asarray(image)
        on_images(1)
    if first is not None and len(unreadable) == len(source):
        raise first


def _features(images: Iterator[NDArray[np.uint8]], extractor: Extractor) -> Features:
    import torch

    from dar_bench.features.base import extract_all

    def batches() -> Iterator[torch.Tensor]:
        waiting: list[NDArray[np.uint8]] = []
        for image in images:
            if waiting and (image.shape != waiting[0].shape or len(waiting) == _BATCH):
                yield torch.from_numpy(np.stack(waiting)).permute(0, 3, 1, 2)
                waiting = []
            waiting.append(image)
        if waiting:
            yield torch.from_numpy(np.stack(waiting)).permute(0, 3, 1, 2)

    return extract_all(extractor, batches())


def _unreadable(keys: list[str], count: int) -> Finding:
    named = ", ".join(keys[:_NAMED]) + (", ..." if len(keys) > _NAMED else "")
    return finding(
        "unreadable", f"{len(keys):,} of {count:,} images cannot be read ({named}).", images=len(keys)
    )
