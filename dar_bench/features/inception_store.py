"""The Inception network in the weight store: two published files of the same numbers, and whether to trust them.

    $DAR_BENCH_HOME/weights/inception-2015-12-05/model.safetensors             for torch
    $DAR_BENCH_HOME/weights/inception-2015-12-05/classify_image_graph_def.pb   for TensorFlow, if a graph came
    $DAR_BENCH_HOME/weights/inception-2015-12-05/provenance.json

Only the torch file's hash is published. A graph is taken for the published one when it holds exactly that file's
numbers, or when it was downloaded over https from its publisher. Anything else of the right topology needs
``--trust``, and every score then says so.
"""

from __future__ import annotations

import datetime
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dar_bench import __version__, weights
from dar_bench.api import Card
from dar_bench.console import note
from dar_bench.download import fetch_file, forget_hash
from dar_bench.errors import UserError
from dar_bench.features.cards import INCEPTION
from dar_bench.features.inception_weights import is_graph, read_weights
from dar_bench.files import atomic_path, write_json
from dar_bench.hashing import sha256_file

if TYPE_CHECKING:
    from torch import Tensor

GRAPH_FILE = "classify_image_graph_def.pb"
GRAPH_URLS = (
    f"https://openaipublic.blob.core.windows.net/diffusion/jul-2021/ref_batches/{GRAPH_FILE}",
    "http://download.tensorflow.org/models/image/imagenet/inception-2015-12-05.tgz",
)


@dataclass(frozen=True, kw_only=True)
class StoredInception:
    """What the store holds.

    Attributes:
        tensors: the safetensors file.
        graph: the TensorFlow graph, where one came.
        content_sha256: of the numbers, whatever file they came in.
        trusted: the numbers are the published ones.
    """

    tensors: Path
    graph: Path | None
    content_sha256: str
    trusted: bool


def stored() -> StoredInception:
    """Return the network's files.

    Raises:
        UserError: they are not on this machine, or their record is missing or damaged.
    """
    path = weights.weights_path(INCEPTION)
    record = weights.provenance(INCEPTION)
    try:
        if record is None:
            raise KeyError("provenance.json")
        graph = path.with_name(GRAPH_FILE) if record["graph"] else None
        return StoredInception(
            tensors=path,
            graph=graph,
            content_sha256=str(record["content_sha256"]),
            trusted=bool(record["trusted"]),
        )
    except KeyError as error:
        raise UserError(
            f"The record of the weights '{INCEPTION.name}' lacks {error}.",
            hint=f"Fetch or import them again: dar-bench weights fetch {INCEPTION.name}",
        ) from error


def fetch(card: Card, *, url: str = "") -> Path:
    """Download the network: the torch file, whose hash is published, and the graph, which must hold its numbers.

    One of the two is enough; without the graph only the TensorFlow evaluator is missing.

    Args:
        card: the network's card.
        url: one address to use instead, of either file.

    Returns:
        The path of the safetensors file.

    Raises:
        UserError: neither file could be had; says why of the first.
    """
    remedy = f"With either file from another machine, run: dar-bench weights import {card.name} FILE"
    if url:
        # Another address vouches for nothing but the published hash.
        pinned = None if url.endswith((".pb", ".tgz", ".tar.gz")) else card.weights.sha256
        return _download(card, url, sha256=pinned, remedy=remedy, vouched="")
    failures: list[UserError] = []
    try:
        _download(card, card.weights.url, sha256=card.weights.sha256, remedy=remedy, vouched="")
    except UserError as error:
        failures.append(error)
    for address in GRAPH_URLS:
        try:
            vouched = "downloaded over https from its publisher" if address.startswith("https:") else ""
            path = _download(card, address, sha256=None, remedy=remedy, vouched=vouched)
        except UserError as error:
            failures.append(error)
            continue
        if len(failures) and failures[0].what.find(card.weights.url) >= 0:
            note(f"Only the graph could be had: {failures[0]}")
        return path
    if len(failures) > len(GRAPH_URLS):
        raise failures[0]
    note(
        f"Only the torch file could be had, which is enough for all but the TensorFlow evaluator: {failures[0]}"
    )
    return weights.weights_path(card)


def import_file(card: Card, file: str | Path, *, trust: bool = False) -> Path:
    """Take a graph (.pb, or the .tgz it comes in), the torch file (.pth), or a safetensors file of ours.

    Args:
        card: the network's card.
        file: the file; its contents decide what it is.
        trust: take numbers that nothing shows to be the published ones; every score will say so.

    Returns:
        The path of the safetensors file. The store is unchanged when this raises.

    Raises:
        UserError: not this network, cut, or not known to be the published one and not trusted.
    """
    path = Path(file).expanduser().absolute()
    if not path.is_file():
        raise UserError(f"There is no file '{path}'.", hint="Give the path of a .pb, .tgz or .pth file.")
    with _unpacked(path) as unpacked:
        return _install(card, unpacked, {"file": str(path)}, trust=trust)


def verify(card: Card) -> weights.Verified:
    """Compare the bytes of both files with what was recorded."""
    result = weights.verify(card, ask_keeper=False)
    record = weights.provenance(card) or {}
    graph = record.get("graph")
    detail = result.detail if record.get("trusted") else f"{result.detail}; not known to be the published one"
    if not result.ok or not graph:
        return weights.Verified(name=card.name, ok=result.ok, detail=detail)
    path = weights.store_path(card).with_name(GRAPH_FILE)
    if not path.is_file():
        return weights.Verified(name=card.name, ok=False, detail=f"'{path}' is missing")
    found = sha256_file(path)
    if found != graph["sha256"]:
        expected = graph["sha256"][:12]
        return weights.Verified(
            name=card.name, ok=False, detail=f"sha256 {found[:12]}, recorded {expected}: '{path}'"
        )
    return weights.Verified(name=card.name, ok=True, detail=f"{detail}; graph {found[:12]} as recorded")


def _download(card: Card, url: str, *, sha256: str | None, remedy: str, vouched: str) -> Path:
    target = weights.store_path(card).with_name(url.rpartition("/")[2] or "download")
    # The graph itself may lie there already, under the same name.
    target = target.with_name(f"fetched-{target.name}")
    fetched = fetch_file(url, target, sha256=sha256, remedy=remedy)
    source = {"url": url, "trusted_on_first_use": fetched.trusted_first}
    try:
        with _unpacked(fetched.path) as unpacked:
            path = _install(card, unpacked, source, vouched=vouched)
    except UserError:
        if sha256 is None:
            forget_hash(url)
        raise
    finally:
        fetched.path.unlink(missing_ok=True)
    return path


@contextmanager
def _unpacked(path: Path) -> Iterator[Path]:
    """Yield the graph inside an archive, or the file itself."""
    with path.open("rb") as stream:
        compressed = stream.read(2) == b"\x1f\x8b"
    if not compressed:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / GRAPH_FILE
        try:
            with tarfile.open(path) as archive:
                member = archive.extractfile(GRAPH_FILE)
                if member is None:
                    raise KeyError(GRAPH_FILE)
                with target.open("wb") as stream:
                    shutil.copyfileobj(member, stream)
        except (tarfile.TarError, zlib.error, EOFError, OSError, KeyError) as error:
            raise UserError(
                f"'{path}' is not the archive of the Inception network, or it is cut.",
                why=f"{error}.",
                hint="Download or copy it again.",
            ) from error
        yield target


def _install(
    card: Card, file: Path, source: Mapping[str, Any], *, trust: bool = False, vouched: str = ""
) -> Path:
    """Put the numbers of a file, and the file itself if it is a graph, into the store."""
    state = read_weights(file, trust=trust)
    sha256, content = sha256_file(file), content_hash(state)
    before = weights.provenance(card) if weights.store_path(card).is_file() else None
    same = before is not None and before.get("content_sha256") == content
    why = vouched
    if sha256 == card.weights.sha256:
        why = "it has the published hash"
    elif same and before is not None and before.get("trusted"):
        why = str(before.get("why", ""))
    if not why and not trust:
        raise UserError(
            f"'{file}' is a network of the right topology, but nothing shows that it is the published one.",
            why=f"Its SHA-256 is {sha256}. The published file {card.weights.filename} has "
            f"{card.weights.sha256}; a graph with the same numbers is known once that file is in the store.",
            hint=f"Run first: dar-bench weights fetch {card.name}   (or add --trust: every score will say so)",
        )
    path = weights.store_path(card)
    graph = before.get("graph") if same and before is not None else None
    if is_graph(file):
        with atomic_path(path.with_name(GRAPH_FILE)) as temporary:
            shutil.copyfile(file, temporary)
        graph = {"sha256": sha256, "bytes": file.stat().st_size, "source": dict(source)}
    if not same or not path.is_file():
        with atomic_path(path) as temporary:
            weights.save_tensors(state, temporary)
    if graph is None:
        path.with_name(GRAPH_FILE).unlink(missing_ok=True)  # of other numbers
    record = {
        "model": card.name,
        "source": dict(source),
        "original_sha256": sha256,
        "original_bytes": file.stat().st_size,
        "sha256": sha256_file(path),
        "bytes": path.stat().st_size,
        "content_sha256": content,
        "graph": graph,
        "trusted": bool(why),
        "why": why or "taken with --trust",
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "dar_bench": __version__,
        "license": card.weights.license,
    }
    write_json(path.with_name("provenance.json"), record)
    return path


def content_hash(state: Mapping[str, Tensor]) -> str:
    """Return a hash of the numbers alone: the same for a graph and a torch file that hold the same ones."""
    import hashlib

    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode())
        digest.update(state[name].contiguous().numpy().tobytes())
    return digest.hexdigest()
