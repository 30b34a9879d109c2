"""Pictures of the report: sheets that lie beside the records, and samples made for it."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from dar_bench.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

MAX_BYTES = 4_000_000
"""Of one picture; a larger file is no contact sheet and would make the page unwieldy."""

MAX_CLASSES = 10


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture, embedded in the page.

    Attributes:
        caption: what it shows.
        png: the file's bytes.
    """

    caption: str
    png: bytes

    def html(self) -> str:
        """Return it as a ``<figure>`` with the bytes inside."""
        data = base64.b64encode(self.png).decode("ascii")
        caption = escape(self.caption)
        return (
            f'<figure class="picture"><img alt="{caption}" src="data:image/png;base64,{data}">'
            f"<figcaption>{caption}</figcaption></figure>"
        )


def stored_pictures(folder: Path) -> tuple[list[Picture], list[str]]:
    """Return the PNG files below a folder of records, and a sentence on each that was left out."""
    pictures, left_out = [], []
    for path in sorted(folder.rglob("*.png")):
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        if path.stat().st_size > MAX_BYTES:
            left_out.append(f"Left out '{path}': it is larger than {MAX_BYTES // 1_000_000} MB.")
            continue
        pictures.append(Picture(caption=_caption(path, folder), png=path.read_bytes()))
    return pictures, left_out


def sampled_pictures(name: str, *, seed: int, cfg: str | None, device: str) -> list[Picture]:
    """Generate one sample of each of the first classes and return the sheet of its previews.

    Args:
        name: a generator of the zoo whose weights are at hand.
        seed: of the run.
        cfg: guidance; ``None`` for the model's default.

    Raises:
        UserError: unknown model, an option that it refuses, or weights that are not there.
    """
    from dar_bench.devices import load_options
    from dar_bench.generation import GenerationRun
    from dar_bench.loading import generator_card, load_generator
    from dar_bench.options import parse_options

    card = generator_card(name)
    loaded = load_generator(card, load_options(device, "float32", False))
    options = parse_options(card, {} if cfg is None else {"cfg": cfg})
    labels = list(range(min(card.num_classes, MAX_CLASSES)))
    run = GenerationRun(labels=labels, seed=seed, options=options, batch_size=len(labels), previews=True)
    sheet = _sheet(loaded, run, labels)
    guidance = f", guidance {options['cfg']}" if "cfg" in options else ""
    caption = (
        f"{card.name}: one sample of each class from the first preview to the last{guidance}, seed {seed}"
    )
    return [Picture(caption=caption, png=_encoded(sheet))]


def _sheet(loaded: object, run: object, labels: Sequence[int]) -> Image.Image:
    from dar_bench.generation import GenerationRun, generate
    from dar_bench.grids import Row, contact_sheet
    from dar_bench.labels import class_name
    from dar_bench.loading import LoadedGenerator
    from dar_bench.reconstruction import to_pixels

    if not isinstance(loaded, LoadedGenerator) or not isinstance(run, GenerationRun):
        raise TypeError("a loaded generator and its run are needed")
    shown = [
        [to_pixels(image) for image in batch.images] for batch in _thinned(list(generate(loaded.model, run)))
    ]
    rows = [
        Row(class_name(loaded.card, label), [images[place] for images in shown])
        for place, label in enumerate(labels)
    ]
    return contact_sheet(rows)


def _thinned(batches: list, most: int = 8) -> Iterator:  # type: ignore[type-arg]
    """Yield at most so many of the previews, evenly spread, the final images always."""
    step = max(1, -(-len(batches) // most))
    yield from batches[len(batches) - 1 - (len(batches) - 1) // step * step :: step]


def _encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _caption(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder).with_suffix("")).replace("-", " ").replace("_", " ")


def check_picture_folder(folder: Path) -> None:
    """Refuse a folder of pictures that is not there.

    Raises:
        UserError: it is no folder.
    """
    if not folder.is_dir():
        raise UserError(
            f"There is no folder of pictures '{folder}'.", hint="Leave --pictures away, or name one."
        )
