"""Downloads that survive a broken connection and never put an unverified file in place.

A download grows in ``<name>.part`` beside its target and moves there once its SHA-256 is right. A connection
that breaks is resumed with a range request, in the same run or the next. A server's validator (ETag or
Last-Modified) is kept beside the part, so that two versions of a file are never joined. Where no hash is
published, the first one seen is trusted, recorded in the store's ``known_hashes.json``, and demanded since.
"""

from __future__ import annotations

import datetime
import http.client
import json
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dar_bench import __version__
from dar_bench.console import download_progress, note
from dar_bench.errors import UserError
from dar_bench.files import write_json, writing
from dar_bench.hashing import sha256_file
from dar_bench.paths import home
from dar_bench.runs.locks import lock

OFFLINE_VARIABLE = "DAR_BENCH_OFFLINE"

_BLOCK = 1 << 18
_TIMEOUT_S = 30.0
_ATTEMPTS = 4  # in a row without a single new byte
_PAUSE_S = 1.0  # before the second attempt; doubles from then on
_TRANSIENT = (408, 425, 429, 500, 502, 503, 504)


class _Broken(Exception):
    """The connection ended early, or the server asked for patience: worth another attempt."""


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A file that is in place and verified.

    Attributes:
        path: where it is.
        sha256: of its bytes.
        trusted_first: no hash was published or known, so this one was recorded.
    """

    path: Path
    sha256: str
    trusted_first: bool


def offline() -> bool:
    """Tell whether ``DAR_BENCH_OFFLINE`` forbids the network."""
    return os.environ.get(OFFLINE_VARIABLE, "").lower() not in ("", "0", "false", "no")


@contextmanager
def without_network(forbidden: bool) -> Iterator[None]:
    """Forbid the network while the block runs, where ``forbidden``; also to libraries and processes below."""
    before = os.environ.get(OFFLINE_VARIABLE)
    if forbidden:
        os.environ[OFFLINE_VARIABLE] = "1"
    try:
        yield
    finally:
        if forbidden and before is None:
            del os.environ[OFFLINE_VARIABLE]
        elif before is not None:
            os.environ[OFFLINE_VARIABLE] = before


def known_hashes_path() -> Path:
    """Return the file that records the hashes trusted on first use."""
    return home() / "known_hashes.json"


def fetch_file(url: str, target: Path, *, sha256: str | None = None, remedy: str = "") -> Fetched:
    """Download ``url`` to ``target``, or find it there already.

    Args:
        url: an http or https address.
        target: where the file goes; its folder also holds the part while it grows.
        sha256: the published hash; ``None`` trusts the first one seen and demands it from then on.
        remedy: what a user without a network can do instead, as an instruction.

    Returns:
        The verified file.

    Raises:
        UserError: offline, unreachable, refused by the server, hash mismatch, or a full disk. What was
            downloaded so far stays in the part unless its hash is wrong.
    """
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise UserError(f"'{url}' is not an http or https address.", hint=remedy)
    expected = sha256 or known_hash(url)
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with lock(target.with_name(f".{target.name}.lock"), wait=True):
            if target.is_file() and expected and sha256_file(target) == expected:
                return Fetched(path=target, sha256=expected, trusted_first=False)
            if offline():
                raise UserError(
                    f"'{target.name}' is not here, and downloads are off.",
                    why=f"It would come from {url}, but --offline or {OFFLINE_VARIABLE}=1 forbids it.",
                    hint=remedy,
                )
            return _download(url, target, expected, published=sha256 is not None, remedy=remedy)


def _download(url: str, target: Path, expected: str | None, *, published: bool, remedy: str) -> Fetched:
    part = _Part(target, url)
    failures = 0
    while True:
        before = part.size
        try:
            _transfer(part)
            break
        except urllib.error.HTTPError as error:
            raise _refused(url, error, remedy) from error
        except (
            _Broken,
            urllib.error.URLError,
            http.client.HTTPException,
            TimeoutError,
            ConnectionError,
        ) as error:
            failures = 1 if part.size > before else failures + 1
            if failures >= _ATTEMPTS or _is_hopeless(error):
                raise _unreachable(part, error, remedy) from error
            note(f"The connection broke ({_reason(error)}); trying again.")
            time.sleep(_PAUSE_S * 2 ** (failures - 1))
    found = sha256_file(part.path)
    if expected is not None and found != expected:
        part.discard()
        raise _wrong_hash(url, target, expected, found, published=published)
    os.replace(part.path, target)
    part.discard()
    if expected is None:
        _record_hash(url, found, target.stat().st_size)
    return Fetched(path=target, sha256=found, trusted_first=expected is None)


class _Part:
    """A partial download: its bytes, and which version of which address they belong to."""

    def __init__(self, target: Path, url: str):
        self.url = url
        self.path = target.with_name(target.name + ".part")
        self._about = target.with_name(target.name + ".part.json")
        self.validator = self._recorded_validator()
        if not self.validator:  # bytes of an unknown version are worth nothing
            self.discard()

    def _recorded_validator(self) -> str:
        try:
            about = json.loads(self._about.read_text())
        except (OSError, ValueError):
            return ""
        if isinstance(about, dict) and about.get("url") == self.url:
            return str(about.get("validator", ""))
        return ""

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def restart(self, validator: str) -> None:
        """Drop the bytes and note the version that is coming."""
        self.discard()
        self.validator = validator
        write_json(self._about, {"url": self.url, "validator": validator})

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._about.unlink(missing_ok=True)


def _transfer(part: _Part) -> None:
    """Run one request that completes the part, from where it stands if the server allows it.

    Raises:
        _Broken: fewer bytes came than were announced, or the server asked to come back later.
    """
    headers = {"User-Agent": f"dar-bench/{__version__}", "Accept-Encoding": "identity"}
    if part.size and part.validator:
        # If-Range (RFC 9110, 13.1.5): the rest if it is still the same version, else the whole.
        headers |= {"Range": f"bytes={part.size}-", "If-Range": part.validator}
    try:
        response = urllib.request.urlopen(
            urllib.request.Request(part.url, headers=headers), timeout=_TIMEOUT_S
        )
    except urllib.error.HTTPError as error:
        if error.code == 416:
            if error.headers.get("Content-Range", "") == f"bytes */{part.size}":
                return  # nothing was missing any more
            part.discard()
            raise _Broken("the partial file did not fit the server's") from error
        if error.code in _TRANSIENT:
            raise _Broken(f"the server answered {error.code} {error.reason}") from error
        raise
    with response:
        if response.status != 206 or _range_start(response.headers) != part.size:
            part.restart(_validator(response.headers))
            if response.status == 206:
                raise _Broken("the server sent another range than it was asked for")
        length = response.headers.get("Content-Length")
        total = part.size + int(length) if length else None
        with (
            part.path.open("ab") as stream,
            download_progress(part.path.name.removesuffix(".part"), total, part.size) as bar,
        ):
            while block := response.read(_BLOCK):
                stream.write(block)
                bar.advance(len(block))
    if total is not None and part.size < total:
        raise _Broken(f"it ended after {part.size:,} of {total:,} bytes")


def _range_start(headers: Any) -> int | None:
    match = re.match(r"bytes (\d+)-", headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _validator(headers: Any) -> str:
    """Return a strong ETag, else Last-Modified, else ``""``: weak ETags do not vouch for single bytes."""
    tag = str(headers.get("ETag", ""))
    return tag if tag and not tag.startswith("W/") else str(headers.get("Last-Modified", ""))


def _known_hashes() -> dict[str, Any]:
    path = known_hashes_path()
    if not path.exists():
        return {}
    try:
        known = json.loads(path.read_text())
    except ValueError as error:
        raise UserError(
            f"The record of known hashes '{path}' is damaged.", hint="Restore or delete it."
        ) from error
    return known if isinstance(known, dict) else {}


def known_hash(url: str) -> str | None:
    """Return the hash that was recorded for an address on its first download, or ``None``."""
    entry = _known_hashes().get(url)
    return str(entry["sha256"]) if entry else None


def _record_hash(url: str, sha256: str, size: int) -> None:
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    with _known_hashes_lock():
        write_json(
            known_hashes_path(), _known_hashes() | {url: {"sha256": sha256, "bytes": size, "date": date}}
        )


def forget_hash(url: str) -> None:
    """Drop what was recorded on first use: the file turned out not to be what the address promised."""
    with _known_hashes_lock():
        known = _known_hashes()
        if url in known:
            write_json(
                known_hashes_path(), {address: entry for address, entry in known.items() if address != url}
            )


def _known_hashes_lock() -> AbstractContextManager[None]:
    """Keep the record to one process from reading to writing: of two writers one would lose its entry."""
    path = known_hashes_path()
    return lock(path.with_name(f".{path.name}.lock"), wait=True)


def _reason(error: Exception) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return str(reason) or type(reason).__name__


def _is_hopeless(error: Exception) -> bool:
    """Tell whether no patience helps: nobody listens there, or the name or the certificate is wrong."""
    if isinstance(error, _Broken | http.client.HTTPException):
        return False
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return not isinstance(
        reason, TimeoutError | ConnectionResetError | ConnectionAbortedError | BrokenPipeError
    )


def _refused(url: str, error: urllib.error.HTTPError, remedy: str) -> UserError:
    meaning = {
        401: "It wants a login.",
        403: "It does not allow this download.",
        404: "There is no such file at that address.",
        410: "The file was removed from that address.",
    }
    why = f"The server answered {error.code} {error.reason}. {meaning.get(error.code, '')}".strip()
    return UserError(f"Cannot download {url}.", why=why, hint=remedy)


def _unreachable(part: _Part, error: Exception, remedy: str) -> UserError:
    kept = ""
    if part.size:
        kept = f" {part.size:,} bytes are kept in '{part.path}'; the same command continues from there."
    return UserError(f"Cannot download {part.url}.", why=f"{_reason(error)}.{kept}", hint=remedy)


def _wrong_hash(url: str, target: Path, expected: str, found: str, *, published: bool) -> UserError:
    if published:
        why = f"Its SHA-256 is {found}, but {expected} is published. The download was discarded."
        hint = "Try again; if it stays so, the file at this address is not the published one."
    else:
        why = f"Its SHA-256 is {found}, but it was {expected} at first. The download was discarded."
        hint = f"If the publisher changed the file on purpose, remove its entry from '{known_hashes_path()}'."
    return UserError(f"The file '{target.name}' from {url} is not the expected one.", why=why, hint=hint)
