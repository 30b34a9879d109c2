"""What can be told of a reference without measuring anything: its card, or what its file says of itself."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from dar_bench.references.cards import find_card, state, stored_path
from dar_bench.references.statistics import holds_statistics, read_statistics


def describe(name: str) -> dict[str, Any]:
    """Return the facts of a card or of a file of statistics, as JSON values.

    Raises:
        UserError: neither a card of that name nor such a file, or a damaged one.
    """
    path = Path(name).expanduser()
    if path.is_file() and holds_statistics(path):
        statistics = read_statistics(path, name=name)
        facts = {key: value for key, value in asdict(statistics.about).items() if value}
        facts["arrays"] = {part: f"{len(one.mean)} dimensions" for part, one in statistics.moments.items()}
        if statistics.images is not None:
            facts["arrays"]["arr_0"] = f"{len(statistics.images)} images"
        return {**facts, "fingerprint_of_the_numbers": statistics.fingerprint}
    card = find_card(name)
    facts = {key: value for key, value in asdict(card).items() if value}
    facts["state"] = state(card)
    if card.known_hash():
        facts["sha256"] = card.known_hash()
    if card.url:
        facts["file"] = str(stored_path(card))
    return facts
