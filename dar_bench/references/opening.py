"""From what a user names to one side of a comparison: images, statistics, or both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dar_bench.data import open_source
from dar_bench.errors import UserError, suggest
from dar_bench.references.cards import ReferenceCard, cards, reference_path
from dar_bench.references.statistics import Statistics, holds_statistics, read_statistics

if TYPE_CHECKING:
    from dar_bench.data import ImageSource
    from dar_bench.features.base import Extractor


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a name turned out to be.

    Attributes:
        name: as the user wrote it.
        source: its images, where it has some.
        statistics: its statistics, where it has some.
        card: its card, where it is a reference that has one.
    """

    name: str
    source: ImageSource | None
    statistics: Statistics | None = None
    card: ReferenceCard | None = None

    @property
    def size(self) -> int:
        """Side in pixels that the statistics are of; 0 where nobody says it."""
        if self.card is not None:
            return self.card.size
        if self.statistics is None:
            return 0
        if self.statistics.about.size or self.statistics.images is None:
            return self.statistics.about.size
        return self.statistics.images[0].image.width

    @property
    def count(self) -> int:
        """Images that it is of; 0 where nobody says it."""
        if self.statistics is not None:
            return self.statistics.about.count or (self.card.count if self.card else 0)
        return 0 if self.source is None else len(self.source)


def open_given(text: str) -> Given:
    """Open an image set or a reference by what the user wrote.

    Args:
        text: whatever ``open_source`` reads; an npz of statistics; or the name of a reference card.

    Raises:
        UserError: nothing is there, it cannot be read, or a card's file was not fetched yet.
    """
    path = Path(text).expanduser()
    if path.is_file() and holds_statistics(path):
        statistics = read_statistics(path, name=text)
        return Given(name=text, source=statistics.images, statistics=statistics)
    card = None if path.exists() else cards().get(text)
    if card is not None and card.url:
        statistics = read_statistics(reference_path(card), name=text, count=card.count)
        return Given(name=text, source=statistics.images, statistics=statistics, card=card)
    if card is not None:
        return Given(name=text, source=open_source(card.data), card=card)
    try:
        return Given(name=text, source=open_source(text))
    except UserError as error:
        near = suggest(text, cards()) if not path.exists() and ":" not in text else ""
        if not near:
            raise
        raise UserError(error.what, why=error.why, hint=near) from error


def check_extractor(given: Given, extractor: Extractor) -> None:
    """Refuse statistics of another extractor's features.

    A file made here names the extractor's weights and preprocessing; a published reference names the network
    and the resizing in its card; of any other file only the number of dimensions is known, which the distance
    checks.

    Raises:
        UserError: with both extractors.
    """
    if given.statistics is None:
        return
    made_by, own = given.statistics.about.fingerprint, extractor.fingerprint()
    if made_by and made_by != own:
        raise UserError(
            f"The statistics '{given.name}' are of other features.",
            why=f"They were made by '{made_by}', the evaluator uses '{own}'.",
            hint="Build them again for this evaluator, or name the images themselves.",
        )
    card = given.card
    if card is not None and not (card.extractor in own and card.resize in own):
        raise UserError(
            f"The statistics '{given.name}' are of other features.",
            why=f"They are of {card.extractor} with {card.resize}, the evaluator uses '{own}'.",
            hint="Choose another evaluator, or name the images themselves.",
        )
