"""Reference cards: what is known of every published reference, and of those that are computed from data.

A card is a TOML file in ``reference_stats/``. It says where a reference comes from and what it may be used
for; the statistics themselves are fetched once and kept in the store.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import dar_bench
from dar_bench.download import Fetched, fetch_file, forget_hash, known_hash
from dar_bench.errors import UserError, unknown_name
from dar_bench.paths import home

FOLDER = "reference_stats"
Role = Literal["generation", "reconstruction"]


@dataclass(frozen=True, kw_only=True)
class ReferenceCard:
    """One reference.

    Attributes:
        name: as the user writes it.
        summary: one line.
        split: of which data set.
        role: what it may be compared with: ``generation`` (training data) or ``reconstruction`` (held out).
        size: side of the images in pixels.
        count: images that the statistics are of; 0 where it is not published.
        crop: how they were cut. resize: how they came to the extractor's size.
        extractor: whose features the statistics are of.
        arrays: what every array of the file is for.
        url: where it is published; empty for one that is computed.
        sha256: the published hash; empty where none is, then the one of the first fetch is recorded.
        data: for a computed one, the images (``name:split``).
        license: terms of the origin. note: what a user should know.
    """

    name: str
    summary: str
    split: str
    role: Role
    size: int
    count: int = 0
    crop: str = ""
    resize: str = ""
    extractor: str = ""
    arrays: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
    sha256: str = ""
    data: str = ""
    license: str = ""
    note: str = ""

    def known_hash(self) -> str:
        """Return the published hash, or the one recorded at the first fetch, or nothing."""
        return self.sha256 or (known_hash(self.url) or "" if self.url else "")


def cards_folder() -> Path:
    """Return the folder of the cards: inside the package when installed, beside it in a checkout.

    Raises:
        UserError: neither is there.
    """
    package = Path(dar_bench.__file__).parent
    for folder in (package / FOLDER, package.parent / FOLDER):
        if folder.is_dir():
            return folder
    raise UserError("The reference cards are missing.", hint="Install dar-bench again.")


@functools.cache
def cards() -> Mapping[str, ReferenceCard]:
    """Return all cards by name.

    Raises:
        UserError: a card is malformed; says which and how.
    """
    found = {}
    for path in sorted(cards_folder().glob("*.toml")):
        card = read_card(path)
        found[card.name] = card
    return found


def read_card(path: Path) -> ReferenceCard:
    """Read one card.

    Raises:
        UserError: no TOML, a key that cards do not have, or one that is missing.
    """
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"Cannot read the reference card {path}.", why=str(error)) from error
    known = [one.name for one in fields(ReferenceCard)]
    for key in values:
        if key not in known:
            raise unknown_name(f"key of {path.name}", key, known)
    try:
        return ReferenceCard(name=path.stem, **values)
    except TypeError as error:
        raise UserError(f"The reference card {path} is incomplete.", why=str(error)) from error


def find_card(name: str) -> ReferenceCard:
    """Return the card of this name; `UserError` with the nearest one where there is none."""
    found = cards().get(name)
    if found is None:
        raise unknown_name("reference", name, cards(), hint="See 'dar-bench stats list'.")
    return found


def stored_path(card: ReferenceCard) -> Path:
    """Return where the store keeps a published reference, whether it is there or not."""
    return home() / "references" / f"{card.name}.npz"


def state(card: ReferenceCard) -> str:
    """Tell in a word where a reference is."""
    if card.data:
        return "computed"
    return "present" if stored_path(card).is_file() else "to fetch"


def reference_path(card: ReferenceCard) -> Path:
    """Return the file of a published reference.

    Raises:
        UserError: it is not on this machine; says how to get it.
    """
    path = stored_path(card)
    if path.is_file():
        return path
    raise UserError(
        f"The reference '{card.name}' is not on this machine.",
        why=f"It is published as {card.url}.",
        hint=f"Run: dar-bench stats fetch {card.name}   (or, with the file from elsewhere, put it to {path})",
    )


def fetch_reference(card: ReferenceCard, *, url: str = "") -> Fetched:
    """Download a published reference into the store, resumable, and look into it.

    Args:
        card: which. url: an address to use instead of the published one; its hash is demanded all the same.

    Raises:
        UserError: it is computed and not published, any failure of the download, or the file is no reference.
    """
    from dar_bench.references.statistics import read_statistics

    if not card.url:
        raise UserError(
            f"The reference '{card.name}' is computed, not published.",
            hint=f"Use it as it is, or write its statistics: dar-bench stats build {card.data} --out FILE",
        )
    path = stored_path(card)
    address = url or card.url
    fetched = fetch_file(
        address,
        path,
        sha256=card.sha256 or (known_hash(card.url) if url else None),
        remedy=f"With the file from another machine, put it to {path}",
    )
    try:
        read_statistics(path, count=card.count)
    except UserError:
        if fetched.trusted_first:
            # Only its coming first vouched for this file; remembered, it would be demanded for ever.
            forget_hash(address)
        path.unlink(missing_ok=True)
        raise
    return fetched
