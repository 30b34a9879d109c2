"""The weight store: where a model's weights are, how they got there, and whether they are what they were.

    $DAR_BENCH_HOME/weights/<model>/model.safetensors   tensors in the plugin's own layout
    $DAR_BENCH_HOME/weights/<model>/provenance.json     where they came from, with both hashes

Published pickles are converted once, on arrival; nothing loads a pickle to run a model.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dar_bench import __version__
from dar_bench.api import Card
from dar_bench.checkpoints import check_layout, read_checkpoint
from dar_bench.download import Fetched, fetch_file, forget_hash
from dar_bench.errors import UserError
from dar_bench.files import atomic_path, write_json
from dar_bench.hashing import sha256_file
from dar_bench.paths import home
from dar_bench.plugins import load_object, resource_path
from dar_bench.runs.locks import lock

if TYPE_CHECKING:
    from torch import Tensor

Status = Literal["bundled", "present", "to fetch", "not published"]


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What came of checking one model's weights.

    Attributes:
        name: the model.
        ok: the file is what was recorded.
        detail: what was compared, in one line.
    """

    name: str
    ok: bool
    detail: str


def store_path(card: Card) -> Path:
    """Return where the store keeps the card's weights, whether they are there or not."""
    return home() / "weights" / card.name / "model.safetensors"


def provenance(card: Card) -> dict[str, Any] | None:
    """Return what is recorded about the stored weights of a card, or ``None``."""
    path = store_path(card).with_name("provenance.json")
    try:
        recorded = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise UserError(
            f"The record '{path}' is damaged.", hint=f"Fetch or import the weights of '{card.name}' again."
        ) from error
    return recorded if isinstance(recorded, dict) else None


def status(card: Card) -> Status:
    """Tell in a word where a card's weights are."""
    if card.weights.bundled:
        return "bundled"
    if card.weights.local or store_path(card).is_file():
        return "present"
    return "to fetch" if card.weights.url else "not published"


def weights_path(card: Card) -> Path:
    """Return the safetensors file of a card's weights: bundled, in a training's folder, or in the store.

    Raises:
        UserError: they are not on this machine; says how to get them.
    """
    if card.weights.bundled:
        return resource_path(card.weights.bundled)
    path = Path(card.weights.local) if card.weights.local else store_path(card)
    if path.is_file():
        return path
    what = f"The weights of '{card.name}' are not on this machine."
    if card.weights.url:
        raise UserError(
            what,
            why=f"They are published as {card.weights.url}{_size(card)}.",
            hint=f"Run: dar-bench weights fetch {card.name}   (or, with the file from elsewhere: "
            f"dar-bench weights import {card.name} FILE)",
        )
    raise UserError(
        what,
        why=card.weights.note or "No weights of this model were published.",
        hint=f"Train it, or bring a file: dar-bench weights import {card.name} FILE",
    )


def ensure(card: Card) -> Path:
    """Return what ``weights_path`` does, after fetching published weights that are not on this machine.

    Processes that ask at once wait for one of them to fetch.

    Raises:
        UserError: they are not here and cannot be fetched.
    """
    if status(card) == "to fetch":
        with lock(store_path(card).with_name(".fetch.lock"), wait=True):
            if status(card) == "to fetch":
                return fetch(card)
    return weights_path(card)


def fetch(card: Card, *, url: str = "") -> Path:
    """Download a card's published weights, convert them and put them into the store.

    Args:
        card: the model.
        url: an address to use instead of the card's; the published hash is demanded all the same.

    Returns:
        The path of the converted file.

    Raises:
        UserError: bundled or unpublished weights, any failure of the download, or a file that does not fit.
    """
    if card.weights.keeper:
        kept: Path = load_object(f"{card.weights.keeper}:fetch")(card, url=url)
        return kept
    _refuse_bundled(card)
    address = url or card.weights.url
    if not address:
        raise UserError(
            f"No address is known for the weights of '{card.name}'.",
            why=card.weights.note or "They were not published.",
            hint="Give one with --url, or bring a file with 'dar-bench weights import'.",
        )
    target = store_path(card).with_name(card.weights.filename)
    remedy = (
        "With the file from another machine, run: "
        f"dar-bench weights import {card.name} {card.weights.filename}"
    )
    fetched: Fetched = fetch_file(address, target, sha256=card.weights.sha256, remedy=remedy)
    source = {"url": address, "trusted_on_first_use": fetched.trusted_first}
    try:
        state = convert_state(card, read_checkpoint(fetched.path))
    except UserError:
        if card.weights.sha256 is None:
            # Only its coming first vouched for this file; remembered, it would be demanded for ever.
            forget_hash(address)
        raise
    path = _install(card, state, fetched.path, fetched.sha256, source)
    fetched.path.unlink()
    return path


def import_file(card: Card, file: str | Path, *, trust: bool = False) -> Path:
    """Convert a checkpoint file and put it into the store.

    Args:
        card: the model it belongs to.
        file: the published file, or a safetensors file in the plugin's layout.
        trust: allow a pickle that runs code of its own.

    Returns:
        The path of the converted file. The store is unchanged when this raises.

    Raises:
        UserError: not a checkpoint, truncated, unsafe, or of another model.
    """
    if card.weights.keeper:
        kept: Path = load_object(f"{card.weights.keeper}:import_file")(card, file, trust=trust)
        return kept
    _refuse_bundled(card)
    path = Path(file).expanduser().absolute()
    if not path.is_file():
        raise UserError(f"There is no file '{path}'.", hint="Give the path of a .safetensors or .pt file.")
    state = convert_state(card, read_checkpoint(path, trust=trust))
    return _install(card, state, path, sha256_file(path), {"file": str(path)})


def verify(card: Card, *, ask_keeper: bool = True) -> Verified:
    """Compare the bytes of a card's weights with what was published or recorded.

    Args:
        card: the model.
        ask_keeper: leave it to the weights' own keeper where they have one.
    """
    if ask_keeper and card.weights.keeper:
        verified: Verified = load_object(f"{card.weights.keeper}:verify")(card)
        return verified
    if card.weights.bundled:
        path, expected = resource_path(card.weights.bundled), card.weights.sha256
        if expected is None:
            return Verified(name=card.name, ok=True, detail="bundled; no hash is published")
    else:
        path = weights_path(card)
        recorded = provenance(card)
        if recorded is None:
            return Verified(name=card.name, ok=False, detail=f"no provenance beside '{path}'")
        expected = str(recorded["sha256"])
    found = sha256_file(path)
    if found == expected:
        return Verified(name=card.name, ok=True, detail=f"sha256 {found[:12]} as recorded")
    return Verified(
        name=card.name, ok=False, detail=f"sha256 {found[:12]}, recorded {expected[:12]}: '{path}'"
    )


def _install(
    card: Card, state: Mapping[str, Tensor], original: Path, sha256: str, source: Mapping[str, Any]
) -> Path:
    path = store_path(card)
    with atomic_path(path) as temporary:
        save_tensors(state, temporary)
        record = {
            "model": card.name,
            "source": dict(source),
            "original_sha256": sha256,
            "original_bytes": original.stat().st_size,
            "sha256": sha256_file(temporary),
            "bytes": temporary.stat().st_size,
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "dar_bench": __version__,
            "license": card.weights.license,
        }
    write_json(path.with_name("provenance.json"), record)
    return path


def convert_state(card: Card, loaded: Any) -> dict[str, Tensor]:
    """Bring a loaded checkpoint into the plugin's layout and check it; our own layout is taken as it is."""
    layout: Mapping[str, tuple[int, ...]] = load_object(card.layout)(card) if card.layout else {}
    own = isinstance(loaded, Mapping) and bool(layout) and set(loaded) == set(layout)
    as_it_is = own or not card.weights.convert
    state = _tensors(card, loaded) if as_it_is else load_object(card.weights.convert)(loaded)
    if layout:
        check_layout(card.name, state, layout)
    return state


def _tensors(card: Card, loaded: Any) -> dict[str, Tensor]:
    import torch

    if (
        isinstance(loaded, Mapping)
        and loaded
        and all(isinstance(value, torch.Tensor) for value in loaded.values())
    ):
        return dict(loaded)
    raise UserError(
        f"The file does not hold the weights of '{card.name}'.",
        why=f"It holds a {type(loaded).__name__}, not names with tensors.",
        hint="Check that the file belongs to this model.",
    )


def save_tensors(state: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors as safetensors; those that share memory are written apart."""
    from safetensors.torch import save_file

    own: dict[str, Tensor] = {}
    memories: set[int] = set()
    for name, tensor in state.items():
        value = tensor.detach().contiguous()
        memory = value.untyped_storage().data_ptr()
        # safetensors refuses tensors that share memory, so the second of them gets its own.
        own[name] = value.clone() if memory in memories else value
        memories.add(memory)
    save_file(own, path, metadata={"format": "pt"})


def _refuse_bundled(card: Card) -> None:
    if card.weights.bundled or card.weights.local:
        owner = "its plugin" if card.weights.bundled else "its training folder"
        raise UserError(
            f"The weights of '{card.name}' come with {owner}.",
            why="The store does not replace them.",
            hint="Commands that run a model take another file with --weights FILE.",
        )


def _size(card: Card) -> str:
    facts = [f"{card.weights.size / 1e9:.2f} GB"] if card.weights.size else []
    facts += [card.weights.license] if card.weights.license else []
    return f" ({', '.join(facts)})" if facts else ""
