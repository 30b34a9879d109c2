"""Downloads against a local server whose manners each test chooses."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dar_bench import download
from dar_bench.download import fetch_file, known_hashes_path
from dar_bench.errors import UserError

BODY = bytes(range(256)) * 1200  # 307,200 bytes: more than one block


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Manners:
    """How the server behaves, and what it was asked."""

    body: bytes = BODY
    etag: str = '"one"'
    ranges: bool = True
    statuses: list[int] = field(default_factory=list)  # answered first, one per request
    cuts: list[int] = field(default_factory=list)  # bytes sent before each of the next connections is cut
    asked: list[str | None] = field(default_factory=list)  # the Range header of every request


@pytest.fixture
def manners() -> Manners:
    return Manners()


@pytest.fixture
def url(manners: Manners) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            manners.asked.append(asked)
            if manners.statuses:
                self.send_error(manners.statuses.pop(0))
                return
            start = 0
            same = self.headers.get("If-Range") == manners.etag
            if asked and manners.ranges and same:
                start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
            if start >= len(manners.body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(manners.body)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            if start:
                last = len(manners.body) - 1
                self.send_header("Content-Range", f"bytes {start}-{last}/{len(manners.body)}")
            if manners.etag:
                self.send_header("ETag", manners.etag)
            self.send_header("Content-Length", str(len(manners.body) - start))
            self.end_headers()
            stop = start + manners.cuts.pop(0) if manners.cuts else len(manners.body)
            self.wfile.write(manners.body[start:stop])
            self.close_connection = True

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/model.pt"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_PAUSE_S", 0.0)


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_a_whole_file_arrives_and_is_verified(url: str, tmp_path: Path, manners: Manners) -> None:
    fetched = fetch_file(url, tmp_path / "w" / "model.pt", sha256=sha256(BODY))
    assert fetched.path.read_bytes() == BODY
    assert (fetched.sha256, fetched.trusted_first) == (sha256(BODY), False)
    assert visible(tmp_path / "w") == ["model.pt"]
    assert not known_hashes_path().exists()
    assert manners.asked == [None]


def test_a_file_that_is_there_is_not_downloaded_again(url: str, tmp_path: Path, manners: Manners) -> None:
    for _ in range(2):
        fetch_file(url, tmp_path / "model.pt", sha256=sha256(BODY))
    assert manners.asked == [None]


def test_a_cut_connection_is_resumed_at_once(url: str, tmp_path: Path, manners: Manners) -> None:
    manners.cuts = [100_000, 50_000]
    fetched = fetch_file(url, tmp_path / "model.pt", sha256=sha256(BODY))
    assert fetched.path.read_bytes() == BODY
    assert manners.asked == [None, "bytes=100000-", "bytes=150000-"]


def test_the_next_run_continues_where_the_last_one_stopped(
    url: str, tmp_path: Path, manners: Manners, monkeypatch: pytest.MonkeyPatch
) -> None:
    manners.cuts = [100_000]
    monkeypatch.setattr(download, "_ATTEMPTS", 1)
    with pytest.raises(UserError, match="100,000 bytes are kept") as caught:
        fetch_file(url, tmp_path / "model.pt", sha256=sha256(BODY), remedy="Bring the file.")
    assert url in caught.value.what
    assert caught.value.hint == "Bring the file."
    assert visible(tmp_path) == ["model.pt.part", "model.pt.part.json"]
    fetched = fetch_file(url, tmp_path / "model.pt", sha256=sha256(BODY))
    assert fetched.path.read_bytes() == BODY
    assert manners.asked == [None, "bytes=100000-"]
    assert visible(tmp_path) == ["model.pt"]


def test_a_complete_part_needs_no_more_bytes(url: str, tmp_path: Path, manners: Manners) -> None:
    (tmp_path / "model.pt.part").write_bytes(BODY)
    (tmp_path / "model.pt.part.json").write_text(json.dumps({"url": url, "validator": '"one"'}))
    assert fetch_file(url, tmp_path / "model.pt", sha256=sha256(BODY)).path.read_bytes() == BODY
    assert manners.asked == [f"bytes={len(BODY)}-"]


def test_a_part_longer_than_the_file_starts_over(url: str, tmp_path: Path, manners: Manners) -> None:
    (tmp_path / "model.pt.part").write_bytes(BODY + b"more")
    (tmp_path / "model.pt.part.json").write_text(json.dumps({"url": url, "validator": '"one"'}))
    assert fetch_file(url, tmp_path / "model.pt", sha256=sha256(BODY)).path.read_bytes() == BODY
    assert manners.asked == [f"bytes={len(BODY) + 4}-", None]


def test_two_versions_are_never_joined(
    url: str, tmp_path: Path, manners: Manners, monkeypatch: pytest.MonkeyPatch
) -> None:
    manners.cuts = [100_000]
    monkeypatch.setattr(download, "_ATTEMPTS", 1)
    with pytest.raises(UserError):
        fetch_file(url, tmp_path / "model.pt")
    manners.body, manners.etag = BODY[::-1], '"two"'
    assert fetch_file(url, tmp_path / "model.pt").path.read_bytes() == BODY[::-1]


def test_a_part_of_another_address_or_of_no_version_is_dropped(
    url: str, tmp_path: Path, manners: Manners
) -> None:
    (tmp_path / "model.pt.part").write_bytes(b"of another file")
    (tmp_path / "model.pt.part.json").write_text(json.dumps({"url": url + "2", "validator": '"one"'}))
    assert fetch_file(url, tmp_path / "model.pt", sha256=sha256(BODY)).path.read_bytes() == BODY
    (tmp_path / "model.pt").unlink()
    (tmp_path / "model.pt.part").write_bytes(b"of unknown origin")
    assert fetch_file(url, tmp_path / "model.pt", sha256=sha256(BODY)).path.read_bytes() == BODY
    assert manners.asked == [None, None]


@pytest.mark.parametrize("etag", ['"one"', ""])
def test_a_server_without_ranges_sends_it_all_again(
    url: str, tmp_path: Path, manners: Manners, etag: str
) -> None:
    manners.ranges, manners.etag, manners.cuts = False, etag, [100_000]
    assert fetch_file(url, tmp_path / "model.pt", sha256=sha256(BODY)).path.read_bytes() == BODY
    assert manners.asked == [None, "bytes=100000-" if etag else None]


def test_a_server_that_always_cuts_is_given_up(url: str, tmp_path: Path, manners: Manners) -> None:
    manners.ranges, manners.cuts = False, [1000] * 100
    with pytest.raises(UserError, match="ended after 1,000 of 307,200 bytes"):
        fetch_file(url, tmp_path / "model.pt", sha256=sha256(BODY))
    assert len(manners.asked) == 4
    assert "model.pt" not in visible(tmp_path)


def test_a_busy_server_is_asked_again(url: str, tmp_path: Path, manners: Manners) -> None:
    manners.statuses = [503, 429]
    assert fetch_file(url, tmp_path / "model.pt", sha256=sha256(BODY)).path.read_bytes() == BODY
    assert len(manners.asked) == 3


def test_the_wrong_file_is_discarded(url: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{sha256(BODY)}, but {'0' * 64} is published"):
        fetch_file(url, tmp_path / "model.pt", sha256="0" * 64)
    assert visible(tmp_path) == []


def test_the_first_hash_is_trusted_and_demanded_from_then_on(
    url: str, tmp_path: Path, manners: Manners
) -> None:
    fetched = fetch_file(url, tmp_path / "model.pt")
    assert fetched.trusted_first
    known = json.loads(known_hashes_path().read_text())
    assert known[url]["sha256"] == sha256(BODY)
    assert known[url]["bytes"] == len(BODY)
    fetched.path.unlink()
    assert not fetch_file(url, tmp_path / "model.pt").trusted_first
    (tmp_path / "model.pt").unlink()
    manners.body = BODY + b"changed"
    with pytest.raises(UserError, match=f"but it was {sha256(BODY)} at first") as caught:
        fetch_file(url, tmp_path / "model.pt")
    assert str(known_hashes_path()) in caught.value.hint
    assert visible(tmp_path) == []


@pytest.mark.parametrize(("status", "meaning"), [(404, "no such file"), (403, "not allow"), (401, "login")])
def test_a_refusal_is_final_and_says_what_it_means(
    url: str, tmp_path: Path, manners: Manners, status: int, meaning: str
) -> None:
    manners.statuses = [status] * 9
    with pytest.raises(UserError, match=f"answered {status}.*{meaning}.*Bring it"):
        fetch_file(url, tmp_path / "model.pt", remedy="Bring it.")
    assert len(manners.asked) == 1
    assert visible(tmp_path) == []


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(UserError, match=r"Cannot download .*refused.*Bring it\."):
        fetch_file(f"http://127.0.0.1:{port}/model.pt", tmp_path / "model.pt", remedy="Bring it.")
    assert visible(tmp_path) == []


def test_offline_says_the_address_and_asks_nobody(
    url: str, tmp_path: Path, manners: Manners, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAR_BENCH_OFFLINE", "1")
    with pytest.raises(UserError, match=re.escape(url)) as caught:
        fetch_file(url, tmp_path / "model.pt", sha256=sha256(BODY), remedy="Bring it.")
    assert "Bring it." in caught.value.hint
    assert manners.asked == []
    (tmp_path / "model.pt").write_bytes(BODY)
    assert fetch_file(url, tmp_path / "model.pt", sha256=sha256(BODY)).path == tmp_path / "model.pt"


def test_a_full_disk_keeps_what_came_and_is_resumed(
    url: str, tmp_path: Path, manners: Manners, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_open = Path.open

    class Filling:
        """A file on a disk with room for one block."""

        def __init__(self, stream: object):
            self._stream, self._blocks = stream, 0

        def __enter__(self) -> Filling:
            return self

        def __exit__(self, *error: object) -> None:
            self._stream.close()

        def write(self, block: bytes) -> int:
            self._blocks += 1
            if self._blocks > 1:
                raise OSError(errno.ENOSPC, "No space left on device")
            return self._stream.write(block)

    def opened(path: Path, mode: str = "r", *args: object, **kwargs: object) -> object:
        stream = real_open(path, mode, *args, **kwargs)
        return Filling(stream) if path.suffix == ".part" and mode == "ab" else stream

    with monkeypatch.context() as full, pytest.raises(UserError, match=r"No space left .*model\.pt'"):
        full.setattr(Path, "open", opened)
        fetch_file(url, tmp_path / "model.pt", sha256=sha256(BODY))
    assert "model.pt" not in visible(tmp_path)
    assert fetch_file(url, tmp_path / "model.pt", sha256=sha256(BODY)).path.read_bytes() == BODY
    assert manners.asked == [None, "bytes=262144-"]


def test_only_web_addresses(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not an http or https address"):
        fetch_file("file:///etc/hostname", tmp_path / "model.pt")


def test_a_damaged_record_of_hashes_is_named(url: str, tmp_path: Path) -> None:
    known_hashes_path().write_text("{")
    with pytest.raises(UserError, match=r"known_hashes\.json' is damaged"):
        fetch_file(url, tmp_path / "model.pt")


def test_two_at_once_download_once(url: str, tmp_path: Path, manners: Manners) -> None:
    results: list[str] = []

    def one() -> None:
        results.append(fetch_file(url, tmp_path / "model.pt", sha256=sha256(BODY)).sha256)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [sha256(BODY)] * 4
    assert manners.asked == [None]


@pytest.mark.parametrize("before", [None, "0"])
def test_forbidding_the_network_ends_with_the_block(
    before: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if before is not None:
        monkeypatch.setenv(download.OFFLINE_VARIABLE, before)
    with download.without_network(True):
        assert download.offline()
    assert not download.offline()
    assert os.environ.get(download.OFFLINE_VARIABLE) == before
    with download.without_network(False):
        assert not download.offline()


def test_hashes_that_are_recorded_at_once_are_all_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    read = download._known_hashes

    def slow_read() -> dict[str, object]:
        found = read()
        time.sleep(0.02)  # without a lock all of them read before the first writes
        return found

    monkeypatch.setattr(download, "_known_hashes", slow_read)
    urls = [f"https://example.org/{number}" for number in range(6)]
    threads = [threading.Thread(target=download._record_hash, args=(url, "0" * 64, 1)) for url in urls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(read()) == urls
    download.forget_hash(urls[0])
    assert sorted(read()) == urls[1:]
    assert [path.name for path in known_hashes_path().parent.iterdir()] == ["known_hashes.json"]
