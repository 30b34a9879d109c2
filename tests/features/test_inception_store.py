"""The Inception network in the weight store: what is trusted, what is kept, what every command says of it."""

from __future__ import annotations

import http.server
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from dar_bench import weights
from dar_bench.cli.main import run
from dar_bench.errors import UserError
from dar_bench.features import inception_store
from dar_bench.features.cards import INCEPTION
from dar_bench.features.inception_store import GRAPH_FILE, stored
from dar_bench.hashing import sha256_file

NAME = INCEPTION.name


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Files that stand for the network: their first line is the form, the second the number they hold."""

    def read(path: Path, *, trust: bool = False) -> dict[str, torch.Tensor]:
        form, number = path.read_text().split()
        if form not in ("graph", "torch"):
            raise UserError(f"'{path}' is not the 2015-12-05 Inception network.")
        return {"fc.bias": torch.tensor([float(number)])}

    monkeypatch.setattr(inception_store, "read_weights", read)
    monkeypatch.setattr(inception_store, "is_graph", lambda path: path.read_text().startswith("graph"))
    for form, number in (("graph", 1), ("torch", 1), ("graph", 2), ("torch", 2)):
        (tmp_path / f"{form}{number}").write_text(f"{form} {number}")
    return tmp_path


@pytest.fixture
def published(small: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the torch file with the number 1 be the published one."""
    object.__setattr__(INCEPTION.weights, "sha256", sha256_file(small / "torch1"))
    yield small  # type: ignore[misc]
    object.__setattr__(
        INCEPTION.weights, "sha256", "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
    )


@pytest.fixture
def served(published: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(published)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    url = INCEPTION.weights.url
    object.__setattr__(INCEPTION.weights, "url", f"{address}/torch1")
    monkeypatch.setattr(inception_store, "GRAPH_URLS", (f"{address}/graph1", f"{address}/archive.tgz"))
    yield address
    object.__setattr__(INCEPTION.weights, "url", url)
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_published_torch_file_is_trusted_and_vouches_for_a_graph_of_its_numbers(published: Path) -> None:
    path = weights.import_file(INCEPTION, published / "torch1")
    assert (stored().trusted, stored().graph) == (True, None)
    content = stored().content_sha256
    weights.import_file(INCEPTION, published / "graph1")
    assert stored().trusted and stored().content_sha256 == content
    assert stored().graph == path.with_name(GRAPH_FILE) and stored().graph.read_text() == "graph 1"
    record = weights.provenance(INCEPTION)
    assert record is not None and record["graph"]["sha256"] == sha256_file(published / "graph1")
    assert weights.verify(INCEPTION).ok


def test_other_numbers_need_trust_and_are_never_taken_for_the_published_ones(published: Path) -> None:
    weights.import_file(INCEPTION, published / "torch1")
    weights.import_file(INCEPTION, published / "graph1")
    before = weights.provenance(INCEPTION)
    for form in ("graph2", "torch2"):
        with pytest.raises(UserError, match="nothing shows that it is the published one.*--trust"):
            weights.import_file(INCEPTION, published / form)
    assert weights.provenance(INCEPTION) == before and stored().graph is not None
    # Other numbers push out the graph, which would otherwise answer for them.
    path = weights.import_file(INCEPTION, published / "torch2", trust=True)
    assert (stored().trusted, stored().graph) == (False, None)
    assert not path.with_name(GRAPH_FILE).exists()
    weights.import_file(INCEPTION, published / "graph2", trust=True)
    assert not stored().trusted and stored().graph is not None
    assert "not known to be the published one" in weights.verify(INCEPTION).detail
    # The published file makes the store trusted again.
    weights.import_file(INCEPTION, published / "torch1")
    assert (stored().trusted, stored().graph) == (True, None)


def test_a_trusted_import_becomes_known_when_the_published_file_comes(published: Path) -> None:
    weights.import_file(INCEPTION, published / "graph1", trust=True)
    assert not stored().trusted
    weights.import_file(INCEPTION, published / "torch1")
    assert stored().trusted and stored().graph is not None


def test_fetch_gets_both_files(served: str) -> None:
    assert run(["weights", "fetch", NAME]) == 0
    assert stored().trusted and stored().graph is not None
    names = sorted(path.name for path in stored().tensors.parent.iterdir() if not path.name.startswith("."))
    assert names == [GRAPH_FILE, "model.safetensors", "provenance.json"]


def test_fetch_is_content_with_one_of_them(
    served: str, published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (published / "graph1").unlink()
    assert run(["weights", "fetch", NAME]) == 0
    assert stored().trusted and stored().graph is None
    assert "Only the torch file could be had" in capsys.readouterr().err
    # The archive is the other place of the graph.
    with tarfile.open(published / "archive.tgz", "w:gz") as archive:
        data = b"graph 1"
        member = tarfile.TarInfo(GRAPH_FILE)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    assert run(["weights", "fetch", NAME]) == 0
    assert stored().graph is not None
    (published / "torch1").unlink()
    assert run(["weights", "fetch", NAME]) == 0


def test_a_graph_alone_is_vouched_for_by_https_only(
    served: str, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (published / "torch1").unlink()
    with pytest.raises(UserError, match=r"Cannot download .*torch1"):
        weights.fetch(INCEPTION)
    assert weights.status(INCEPTION) == "to fetch"
    real = inception_store.fetch_file
    monkeypatch.setattr(
        inception_store, "fetch_file", lambda url, *a, **k: real(url.replace("https:", "http:"), *a, **k)
    )
    secure = served.replace("http:", "https:")
    monkeypatch.setattr(inception_store, "GRAPH_URLS", (f"{secure}/graph1",))
    weights.fetch(INCEPTION)
    record = weights.provenance(INCEPTION)
    assert record is not None and record["trusted"] and "over https" in record["why"]


def test_another_address_vouches_for_nothing(served: str) -> None:
    with pytest.raises(UserError, match="is published"):
        weights.fetch(INCEPTION, url=f"{served}/torch2")
    with pytest.raises(UserError, match="nothing shows"):
        weights.fetch(INCEPTION, url=f"{served}/graph1?x=.pb")
    assert weights.status(INCEPTION) == "to fetch"


def test_damaged_archives_and_files(published: Path) -> None:
    (published / "cut.tgz").write_bytes(b"\x1f\x8b\x08\x00")
    with pytest.raises(UserError, match="not the archive of the Inception network"):
        weights.import_file(INCEPTION, published / "cut.tgz")
    with tarfile.open(published / "damaged.tgz", "w:gz") as archive:
        member = tarfile.TarInfo(GRAPH_FILE)
        member.size = 1 << 20
        archive.addfile(member, io.BytesIO(np.random.default_rng(0).bytes(member.size)))
    data = bytearray((published / "damaged.tgz").read_bytes())
    data[len(data) // 2 :: 64] = bytes(
        len(data[len(data) // 2 :: 64])
    )  # the lengths of stored blocks among them
    (published / "damaged.tgz").write_bytes(data)
    with pytest.raises(UserError, match="not the archive of the Inception network"):
        weights.import_file(INCEPTION, published / "damaged.tgz")
    with pytest.raises(UserError, match="There is no file"):
        weights.import_file(INCEPTION, published / "nowhere")
    with pytest.raises(UserError, match="weights fetch inception-2015-12-05"):
        stored()


def test_verify_looks_at_both_files(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights.import_file(INCEPTION, published / "torch1")
    path = weights.import_file(INCEPTION, published / "graph1")
    assert run(["weights", "verify", NAME]) == 0
    capsys.readouterr()
    path.with_name(GRAPH_FILE).write_text("graph 3")
    assert run(["weights", "verify", NAME, "--json"]) == 1
    assert GRAPH_FILE in json.loads(capsys.readouterr().out)[0]["detail"]
    path.with_name(GRAPH_FILE).unlink()
    assert run(["weights", "verify", NAME]) == 1
    path.with_name("provenance.json").write_text('{"sha256": "0"}')
    with pytest.raises(UserError, match="lacks 'graph'"):
        stored()


def test_the_real_files(inception_files) -> None:
    weights.import_file(INCEPTION, inception_files.pb, trust=True)
    content = stored().content_sha256
    assert stored().graph is not None
    weights.import_file(INCEPTION, inception_files.pth, trust=True)
    assert stored().content_sha256 == content and stored().graph is not None
