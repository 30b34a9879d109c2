"""What is stored: plugins, weights, data sets, reference statistics."""

from __future__ import annotations

from dar_bench.api import Card
from dar_bench.doctor.findings import Check
from dar_bench.errors import UserError
from dar_bench.features.cards import EXTRACTOR_CARDS
from dar_bench.plugins import registry, resource_path
from dar_bench.references.cards import ReferenceCard, cards, stored_path
from dar_bench.weights import status, verify


def examine_plugins() -> list[Check]:
    """Look at every plugin, and at names that two of them claim."""
    found = []
    for plugin in registry().plugins:
        broken = bool(plugin.error)
        found.append(
            Check(
                area="plugins",
                name=plugin.name,
                state="broken" if broken else "ok",
                detail=plugin.error or f"{plugin.distribution} {plugin.version}",
                remedy=f"Update or uninstall {plugin.distribution}." if broken else "",
            )
        )
    found += [
        Check(
            area="plugins",
            name="names",
            state="warning",
            detail=conflict,
            remedy="Uninstall one of them.",
        )
        for conflict in registry().conflicts()
    ]
    return found


def examine_weights() -> list[Check]:
    """Compare the weights that are here with their recorded hashes; name those that are not."""
    return [_weights(card) for card in (*registry().cards(), *EXTRACTOR_CARDS.values())]


def _weights(card: Card) -> Check:
    state = status(card)
    if state in ("to fetch", "not published"):
        remedy = f"dar-bench weights fetch {card.name}" if state == "to fetch" else ""
        return Check(area="weights", name=card.name, state="absent", detail=state, remedy=remedy)
    try:
        verified = verify(card)
    except UserError as error:
        return Check(area="weights", name=card.name, state="broken", detail=error.what, remedy=error.hint)
    return Check(
        area="weights",
        name=card.name,
        state="ok" if verified.ok else "broken",
        detail=f"{state}, {verified.detail}",
        remedy="" if verified.ok else "Fetch, import or install them again.",
    )


def examine_data() -> list[Check]:
    """Look for the shipped data sets and the reference statistics."""
    found = []
    for dataset in registry().datasets():
        for split, resource in dataset.splits.items():
            name = f"{dataset.name}:{split}"
            try:
                resource_path(resource)
            except UserError as error:
                found.append(
                    Check(area="data", name=name, state="broken", detail=error.what, remedy=error.hint)
                )
            else:
                found.append(Check(area="data", name=name, state="ok", detail="shipped"))
    return found + [_reference(card) for card in cards().values()]


def _reference(card: ReferenceCard) -> Check:
    if not card.url:
        return Check(area="references", name=card.name, state="ok", detail=f"computed from {card.data}")
    path = stored_path(card)
    if not path.is_file():
        remedy = f"dar-bench stats fetch {card.name}"
        return Check(area="references", name=card.name, state="absent", detail="to fetch", remedy=remedy)
    from dar_bench.hashing import sha256_file

    expected, digest = card.known_hash(), sha256_file(path)
    if expected and digest != expected:
        return Check(
            area="references",
            name=card.name,
            state="broken",
            detail=f"sha256 {digest[:12]}, expected {expected[:12]}: '{path}'",
            remedy=f"Remove the file, then: dar-bench stats fetch {card.name}",
        )
    return Check(area="references", name=card.name, state="ok", detail=f"sha256 {digest[:12]}")
