"""What the report is made of: records with what the zoo knows of their models.

A record names its model only; group and display order come from the installed cards, and for systems that no
plugin brings from the reported record itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dar_bench.api import Card
from dar_bench.plugins import registry
from dar_bench.results.record import Record, Score
from dar_bench.results.store import StoredRecord

FAMILIES = ("tokenizer", "diffusion", "mask-based", "tailored AR", "vanilla AR")
"""Groups of the leaderboard, in the order of the paper's Table 3."""

OTHER = "other"
"""Group of models that neither a card nor the record places."""

_DIGITS = 12


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One record in the report.

    Attributes:
        key: beginning of its content hash; what links and clicks refer to.
        record: the record.
        family: group of the leaderboard.
    """

    key: str
    record: Record
    family: str

    @property
    def measured(self) -> bool:
        """Whether it was measured by this tool."""
        return self.record.origin == "measured"

    @property
    def evaluator(self) -> str:
        """Name of who scored, or of the publication."""
        if self.record.evaluator is not None:
            return self.record.evaluator.name
        return "" if self.measured else "reported"

    def score(self, name: str) -> Score | None:
        """Return the score of that name, or ``None``."""
        return self.record.score(name)


def entries(records: Iterable[StoredRecord]) -> list[Entry]:
    """Return the entries of all records, each content once, in the order given."""
    cards = {name: card for card in registry().cards() for name in (card.name, *card.aliases)}
    found: dict[str, Entry] = {}
    for item in records:
        key = item.record.content_hash()[:_DIGITS]
        found.setdefault(key, Entry(key=key, record=item.record, family=_family(item.record, cards)))
    return list(found.values())


def _family(record: Record, cards: dict[str, Card]) -> str:
    card = cards.get(record.model.name)
    if card is not None:
        return card.family
    stated = record.model.family or str(record.options.get("family", ""))
    if stated in FAMILIES:
        return stated
    return "tokenizer" if record.kind == "reconstruction" else OTHER
