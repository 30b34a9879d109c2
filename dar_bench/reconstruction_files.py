"""The files of a reconstruction run, written while it streams, with the pixel scores of every image.

000000.png              reconstruction of image 0
reconstructions.json    which image that is, its scores, and what the run can be repeated with
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dar_bench.errors import UserError
from dar_bench.files import write_json
from dar_bench.grids import Row, write_png, write_sheet
from dar_bench.metrics.reconstruction import psnr, ssim
from dar_bench.output_folders import claim_folder
from dar_bench.reconstruction import ReconstructedBatch, ReconstructionRun, reconstruct, to_pixels

if TYPE_CHECKING:
    from dar_bench.data.transforms import Pixels
    from dar_bench.loading import LoadedCodec

MANIFEST = "reconstructions.json"
MADE_BY = "dar-bench reconstruct"
PATTERNS = ("[0-9][0-9][0-9][0-9][0-9][0-9].png",)
"""What the files of a run are called."""

SHEET_IMAGES = 64
"""Images that the side-by-side sheet shows."""

TABLE_IMAGES = 20
"""Up to so many images the table lists each; above, their mean alone."""

_PAIRS_PER_ROW = 8


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Which files to write.

    Attributes:
        folder: for one PNG per image and the list; ``None`` for neither.
        grid: a sheet of originals over reconstructions.
        npz: an archive of all reconstructions.
    """

    folder: Path | None = None
    grid: Path | None = None
    npz: Path | None = None


@dataclass
class Written:
    """What a run left on the disk.

    Attributes:
        images: one entry per image: key, file, PSNR in dB (``None`` for identical images), SSIM.
        files: everything else, by what it is.
    """

    images: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)


def write_reconstructions(
    tokenizer: LoadedCodec,
    run: ReconstructionRun,
    outputs: Outputs,
    facts: Mapping[str, Any],
    *,
    on_images: Callable[[int], Any] = lambda count: None,
) -> Written:
    """Reconstruct a source and write it as it comes.

    Interrupted, it keeps the finished images and lists them; the sheet and the archive are written whole or
    not at all.

    Args:
        facts: goes into the list beside the images.
        on_images: told how many images were finished.

    Raises:
        UserError: an image cannot be read, or a file not be written.
    """
    written = Written()
    shown: list[tuple[Pixels, Pixels]] = []
    with contextlib.ExitStack() as stack:
        archive = None
        if outputs.npz is not None:
            from dar_bench.npz_writer import write_npz

            archive = stack.enter_context(write_npz(outputs.npz, run.count, tokenizer.card.image_size))
        try:
            for batch in reconstruct(tokenizer.model, run):
                if outputs.folder is not None and not written.images:
                    claim_folder(outputs.folder, MANIFEST, MADE_BY, PATTERNS)
                _take(batch, outputs, written)
                if outputs.grid is not None:
                    shown += _pairs(batch)[: SHEET_IMAGES - len(shown)]
                if archive is not None:
                    labels = run.source.labels()[list(batch.indices)]
                    archive.add(batch.images, labels.tolist())
                on_images(len(batch.indices))
        except BaseException:
            with contextlib.suppress(UserError):
                _write_manifest(outputs, written, facts, complete=False)
            raise
    if outputs.npz is not None:
        written.files["archive"] = outputs.npz
    if outputs.grid is not None:
        write_side_by_side(outputs.grid, shown)
        written.files["grid"] = outputs.grid
    _write_manifest(outputs, written, facts, complete=True)
    return written


def write_side_by_side(path: Path, pairs: Sequence[tuple[Pixels, Pixels]], *, title: str = "") -> None:
    """Write a sheet of (original, reconstruction) pairs, rows of originals over rows of reconstructions."""
    rows = []
    for start in range(0, len(pairs), _PAIRS_PER_ROW):
        part = pairs[start : start + _PAIRS_PER_ROW]
        rows.append(Row("original", [original for original, _ in part]))
        rows.append(Row("decoded", [decoded for _, decoded in part]))
    write_sheet(path, rows, title=title)


def table(images: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return rows of key, PSNR and SSIM: every image where they are few, the mean where there are several.

    Identical images have no finite PSNR; the mean is over the others.
    """
    rows = []
    if len(images) <= TABLE_IMAGES:
        rows = [[image["key"], _decibels(image["psnr"]), f"{image['ssim']:.4f}"] for image in images]
    if len(images) > 1:
        finite = [image["psnr"] for image in images if image["psnr"] is not None]
        mean = math.fsum(finite) / len(finite) if finite else None
        similarity = math.fsum(image["ssim"] for image in images) / len(images)
        rows.append([f"mean of {len(images)} images", _decibels(mean), f"{similarity:.4f}"])
    return rows


def _decibels(value: float | None) -> str:
    return "identical" if value is None else f"{value:.2f}"


def _pairs(batch: ReconstructedBatch) -> list[tuple[Pixels, Pixels]]:
    return [
        (to_pixels(original), to_pixels(image))
        for original, image in zip(batch.originals, batch.images, strict=True)
    ]


def _take(batch: ReconstructedBatch, outputs: Outputs, written: Written) -> None:
    decibels = psnr(batch.originals.numpy(), batch.images.numpy())
    similarity = ssim(batch.originals.numpy(), batch.images.numpy())
    for row, (index, key) in enumerate(zip(batch.indices, batch.keys, strict=True)):
        entry: dict[str, Any] = {"index": index, "key": key}
        if outputs.folder is not None:
            entry["file"] = f"{index:06d}.png"
            write_png(outputs.folder / entry["file"], to_pixels(batch.images[row]))
        entry["psnr"] = float(decibels[row]) if math.isfinite(decibels[row]) else None
        entry["ssim"] = float(similarity[row])
        written.images.append(entry)


def _write_manifest(outputs: Outputs, written: Written, facts: Mapping[str, Any], *, complete: bool) -> None:
    if outputs.folder is None or not written.images:
        return
    path = outputs.folder / MANIFEST
    files = [image["file"] for image in written.images]
    content = {"made_by": MADE_BY, **facts, "complete": complete, "images": written.images, "files": files}
    write_json(path, content)
    written.files["list"] = path
