"""The files of a generation run, written while it streams: images, previews, sheets, an archive, and a list.

000000-207.png                    sample 0, class 207 (class names where the model has them)
previews/000000-207-group1.png    its estimate after the first group of tokens (or -step1 of diffusion)
trajectory.png                    the previews of the first samples side by side
samples.json                      everything that each image can be made again with
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dar_bench.errors import UserError
from dar_bench.files import write_json
from dar_bench.generation import GenerationRun, generate
from dar_bench.grids import Row, write_png, write_sheet
from dar_bench.labels import class_name, slug
from dar_bench.output_folders import claim_folder
from dar_bench.reconstruction import to_pixels

if TYPE_CHECKING:
    from dar_bench.api import GeneratedBatch, GeneratorCard
    from dar_bench.data.transforms import Pixels
    from dar_bench.loading import LoadedGenerator
    from dar_bench.npz_writer import NpzStream

MANIFEST = "samples.json"
MADE_BY = "dar-bench sample"
TRAJECTORY = "trajectory.png"
PATTERNS = ("[0-9][0-9][0-9][0-9][0-9][0-9]-*.png", "previews/[0-9]*-*[0-9].png", TRAJECTORY)
"""What the files of a run are called."""

SHEET_COLUMNS = 16
SHEET_ROWS = 64
"""A sheet shows at most so many images of a class and so many classes; memory stays bounded."""

TRAJECTORIES = 16
"""Samples whose previews the trajectory sheet shows."""


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Which files to write.

    Attributes:
        folder: for one PNG per image, previews and the list; ``None`` for none of these.
        previews: also write the estimates on the way, and the trajectory sheet; needs ``folder``.
        grid: a sheet with one row per class.
        npz: an archive of all images for evaluators.
    """

    folder: Path | None = None
    previews: bool = False
    grid: Path | None = None
    npz: Path | None = None


@dataclass
class Written:
    """What a run left on the disk.

    Attributes:
        samples: one entry per finished image: index, label, name of the class, file.
        previews: how many preview files.
        files: everything else, by what it is.
    """

    samples: list[dict[str, Any]] = field(default_factory=list)
    previews: int = 0
    files: dict[str, Path] = field(default_factory=dict)


def write_samples(
    generator: LoadedGenerator,
    run: GenerationRun,
    outputs: Outputs,
    facts: Mapping[str, Any],
    *,
    on_images: Callable[[int], Any] = lambda count: None,
) -> Written:
    """Generate a run and write it as it comes.

    Interrupted, it keeps the finished images and lists them; sheets and archives are written whole or not at
    all.

    Args:
        facts: goes into the list beside the samples (model, hashes, seed, options).
        on_images: told how many images were finished.

    Raises:
        UserError: the disk is full, a folder cannot be written to, or the model refuses an option.
    """
    written = Written()
    writer = _Writer(generator.card, outputs, written)
    with contextlib.ExitStack() as stack:
        archive = _archive(stack, outputs, run, generator.card)
        try:
            for batch in generate(generator.model, run):
                writer.take(batch)
                if batch.final:
                    if archive is not None:
                        archive.add(batch.images, batch.labels.tolist())
                    on_images(len(batch.indices))
        except BaseException:
            # The images that are there keep their list; the error itself says more than a second one would.
            with contextlib.suppress(UserError):
                _write_manifest(outputs, written, facts, complete=False)
            raise
    if outputs.npz is not None:
        written.files["archive"] = outputs.npz
    writer.write_sheets()
    _write_manifest(outputs, written, facts, complete=True)
    return written


def file_stem(index: int, label: int, card: GeneratorCard) -> str:
    """Return a sample's file name without its ending: six digits of the index, then the class."""
    return f"{index:06d}-{slug(class_name(card, label)) or label}"


class _Writer:
    """Takes batches in order; remembers only what the sheets show."""

    def __init__(self, card: GeneratorCard, outputs: Outputs, written: Written):
        self._card = card
        self._outputs = outputs
        self._written = written
        self._rows: dict[int, list[Pixels]] = {}
        self._trajectories: dict[int, tuple[str, list[Pixels]]] = {}
        self._stages: list[str] = []
        self._preview_files: list[str] = []
        self._claimed = False

    def take(self, batch: GeneratedBatch) -> None:
        if self._outputs.folder is not None and not self._claimed:
            claim_folder(self._outputs.folder, MANIFEST, MADE_BY, PATTERNS)
            self._claimed = True
        stage = f"{batch.unit} {batch.groups_done}"
        if stage not in self._stages:
            self._stages.append(stage)
        for index, label, image in zip(batch.indices, batch.labels.tolist(), batch.images, strict=True):
            pixels = to_pixels(image)
            stem = file_stem(index, label, self._card)
            if self._outputs.previews:
                self._preview(stem, index, label, pixels, stage)
            if batch.final:
                self._final(stem, index, label, pixels)

    def _final(self, stem: str, index: int, label: int, pixels: Pixels) -> None:
        entry: dict[str, Any] = {"index": index, "label": label}
        if self._card.class_names:
            entry["class"] = class_name(self._card, label)
        if self._outputs.folder is not None:
            entry["file"] = f"{stem}.png"
            write_png(self._outputs.folder / entry["file"], pixels)
        if self._outputs.previews:
            prefix = f"previews/{stem}-"
            entry["previews"] = [name for name in self._preview_files if name.startswith(prefix)]
            self._preview_files = [name for name in self._preview_files if not name.startswith(prefix)]
        self._written.samples.append(entry)
        if self._outputs.grid is not None:
            row = self._rows.setdefault(label, []) if len(self._rows) < SHEET_ROWS else self._rows.get(label)
            if row is not None and len(row) < SHEET_COLUMNS:
                row.append(pixels)

    def _preview(self, stem: str, index: int, label: int, pixels: Pixels, stage: str) -> None:
        if self._outputs.folder is None:
            raise ValueError("previews need a folder")
        name = f"previews/{stem}-{stage.replace(' ', '')}.png"
        write_png(self._outputs.folder / name, pixels)
        self._preview_files.append(name)
        self._written.previews += 1
        if index in self._trajectories or len(self._trajectories) < TRAJECTORIES:
            text = f"{index}: {class_name(self._card, label)}"
            self._trajectories.setdefault(index, (text, []))[1].append(pixels)

    def write_sheets(self) -> None:
        if self._outputs.grid is not None:
            rows = [Row(class_name(self._card, label), images) for label, images in self._rows.items()]
            write_sheet(self._outputs.grid, rows)
            self._written.files["grid"] = self._outputs.grid
        if self._outputs.previews and self._outputs.folder is not None:
            path = self._outputs.folder / TRAJECTORY
            rows = [Row(text, images) for text, images in self._trajectories.values()]
            write_sheet(path, rows, columns=self._stages)
            self._written.files["trajectory"] = path


def write_trajectory(path: Path, rows: list[Row]) -> None:
    """Write a sheet of previews: one row per sample, one column per group of tokens."""
    groups = max(len(row.images) for row in rows)
    write_sheet(path, rows, columns=[f"group {number}" for number in range(1, groups + 1)])


def _archive(
    stack: contextlib.ExitStack, outputs: Outputs, run: GenerationRun, card: GeneratorCard
) -> NpzStream | None:
    if outputs.npz is None:
        return None
    from dar_bench.npz_writer import write_npz

    return stack.enter_context(write_npz(outputs.npz, len(run.labels), card.image_size))


def _write_manifest(outputs: Outputs, written: Written, facts: Mapping[str, Any], *, complete: bool) -> None:
    if outputs.folder is None or not written.samples:
        return
    path = outputs.folder / MANIFEST
    files = [sample["file"] for sample in written.samples]
    files += [name for sample in written.samples for name in sample.get("previews", [])]
    if "trajectory" in written.files:
        files.append(TRAJECTORY)
    content = {"made_by": MADE_BY, **facts, "complete": complete, "samples": written.samples, "files": files}
    write_json(path, content)
    written.files["list"] = path
