from __future__ import annotations

import errno
import http.server
import json
import os
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from safetensors.torch import load_file, save_file

from dar_bench import weights
from dar_bench.api import TokenizerCard, WeightsFile
from dar_bench.cli.main import run
from dar_bench.errors import UserError
from dar_bench.hashing import sha256_file
from dar_bench.plugins import PluginStatus, Registry

OURS = {"table": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(2)}


def layout(card: TokenizerCard) -> dict[str, tuple[int, ...]]:
    return {"table": (2, 3), "bias": (2,)}


def convert(checkpoint: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The published file keeps its tensors under "model" and calls the table an embedding."""
    return {name.replace("embedding", "table"): value for name, value in checkpoint["model"].items()}


def card(**changes: Any) -> TokenizerCard:
    file = {"filename": "toy.pt", "url": "https://weights.invalid/toy.pt", "convert": "toy:convert"} | changes
    return TokenizerCard(
        name="toy",
        family="tokenizer",
        summary="",
        parameters=8,
        image_size=8,
        tokens=4,
        codebook_size=2,
        load="toy:load",
        layout="toy:layout",
        weights=WeightsFile(**file),
    )


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    objects = {"toy:layout": layout, "toy:convert": convert}
    monkeypatch.setattr(weights, "load_object", objects.__getitem__)
    monkeypatch.setattr(weights, "resource_path", lambda resource: tmp_path / resource.partition(":")[2])


@pytest.fixture
def published(tmp_path: Path) -> Path:
    path = tmp_path / "published" / "toy.pt"
    path.parent.mkdir()
    torch.save({"model": {"embedding": OURS["table"], "bias": OURS["bias"]}, "steps": 3}, path)
    return path


@pytest.fixture
def served(published: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(published.parent))
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/toy.pt"
    server.shutdown()
    thread.join()
    server.server_close()


def install(monkeypatch: pytest.MonkeyPatch, *cards: TokenizerCard) -> None:
    from dar_bench.api import Plugin

    status = PluginStatus(name="t", distribution="t", version="1", plugin=Plugin(name="t", cards=cards))
    registry = Registry([status])
    monkeypatch.setattr("dar_bench.cli.weights.registry", lambda: registry)


def test_an_imported_checkpoint_is_converted_and_its_origin_recorded(published: Path) -> None:
    assert weights.status(card()) == "to fetch"
    path = weights.import_file(card(), published)
    assert path == weights.weights_path(card()) == weights.store_path(card())
    assert weights.status(card()) == "present"
    stored = load_file(path)
    assert stored.keys() == OURS.keys()
    assert all(torch.equal(stored[name], OURS[name]) for name in OURS)
    recorded = weights.provenance(card())
    assert recorded is not None
    assert recorded["source"] == {"file": str(published)}
    assert recorded["original_sha256"] == sha256_file(published)
    assert recorded["sha256"] == sha256_file(path)
    assert recorded["bytes"] == path.stat().st_size
    assert weights.verify(card()).ok


def test_a_file_in_our_own_layout_is_taken_as_it_is(tmp_path: Path) -> None:
    save_file(OURS, tmp_path / "trained.safetensors")
    assert torch.equal(
        load_file(weights.import_file(card(), tmp_path / "trained.safetensors"))["bias"], OURS["bias"]
    )


def test_tensors_that_share_memory_are_stored_apart(tmp_path: Path, published: Path) -> None:
    both = torch.arange(12.0).reshape(4, 3)
    torch.save({"model": {"embedding": both[:2], "bias": both.flatten()[6:8]}}, published)
    stored = load_file(weights.import_file(card(), published))
    assert stored["table"].tolist() == both[:2].tolist()
    assert stored["bias"].tolist() == [6.0, 7.0]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"embedding": torch.zeros(2, 3)}, r"Of 2 tensors: 1 missing \(bias\)"),
        ({**OURS, "head": torch.zeros(1)}, r"1 unexpected \(head\)"),
        ({**OURS, "table": torch.zeros(4, 3)}, r"table \(4, 3\) instead of \(2, 3\)"),
    ],
)
def test_a_wrong_file_changes_nothing(
    published: Path, tmp_path: Path, state: dict[str, torch.Tensor], message: str
) -> None:
    path = weights.import_file(card(), published)
    before = path.read_bytes()
    torch.save({"model": state}, tmp_path / "wrong.pt")
    with pytest.raises(UserError, match=message):
        weights.import_file(card(), tmp_path / "wrong.pt")
    assert path.read_bytes() == before
    assert weights.verify(card()).ok
    assert sorted(file.name for file in path.parent.iterdir()) == ["model.safetensors", "provenance.json"]


def test_a_full_disk_leaves_no_half_file(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(state: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(UserError, match="No space left"):
        weights.import_file(card(), published)
    assert list(weights.store_path(card()).parent.iterdir()) == []
    assert weights.status(card()) == "to fetch"


def test_fetch_downloads_converts_and_drops_the_original(served: str) -> None:
    path = weights.fetch(card(url=served))
    assert load_file(path)["table"].tolist() == OURS["table"].tolist()
    assert not path.with_name("toy.pt").exists()
    recorded = weights.provenance(card())
    assert recorded is not None
    assert recorded["source"] == {"url": served, "trusted_on_first_use": True}
    weights.fetch(card(url=served))
    again = weights.provenance(card())
    assert again is not None and again["source"]["trusted_on_first_use"] is False


def test_a_file_that_is_no_checkpoint_is_not_trusted_from_then_on(served: str, published: Path) -> None:
    good = published.read_bytes()
    published.write_text("<html>Please log in</html>")
    with pytest.raises(UserError, match="It is a web page"):
        weights.fetch(card(url=served))
    published.write_bytes(good)
    assert load_file(weights.fetch(card(url=served)))["table"].tolist() == OURS["table"].tolist()


def test_a_mirror_must_serve_the_published_bytes(served: str, published: Path) -> None:
    with pytest.raises(UserError, match="is published"):
        weights.fetch(card(sha256="0" * 64), url=served)
    assert weights.fetch(card(sha256=sha256_file(published)), url=served).is_file()


def test_missing_weights_say_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError) as caught:
        weights.weights_path(card(size=1_370_000_000, license="MIT"))
    assert "https://weights.invalid/toy.pt (1.37 GB, MIT)" in caught.value.why
    assert "dar-bench weights fetch toy " in caught.value.hint
    assert "dar-bench weights import toy FILE" in caught.value.hint
    with pytest.raises(UserError, match="The authors published none.*Train it") as caught:
        weights.weights_path(card(url="", note="The authors published none."))
    assert weights.status(card(url="")) == "not published"
    with pytest.raises(UserError, match="No address is known.*--url"):
        weights.fetch(card(url=""))
    monkeypatch.setenv("DAR_BENCH_OFFLINE", "1")
    with pytest.raises(
        UserError, match=r"downloads are off.*https://weights.invalid/toy.pt, but.*weights import toy"
    ):
        weights.fetch(card())


def test_bundled_weights_are_used_and_never_replaced(tmp_path: Path, published: Path) -> None:
    save_file(OURS, tmp_path / "toy.safetensors")
    bundled = card(bundled="toy_package:toy.safetensors", sha256=sha256_file(tmp_path / "toy.safetensors"))
    assert weights.status(bundled) == "bundled"
    assert weights.weights_path(bundled) == tmp_path / "toy.safetensors"
    assert weights.verify(bundled).ok
    for change in (partial(weights.fetch, bundled), partial(weights.import_file, bundled, published)):
        with pytest.raises(UserError, match="come with its plugin"):
            change()
    assert not weights.verify(card(bundled="toy_package:toy.safetensors", sha256="0" * 64)).ok


def test_verify_notices_a_changed_file(
    published: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch, card())
    path = weights.import_file(card(), published)
    assert run(["weights", "verify"]) == 0
    assert "ok" in capsys.readouterr().out
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert run(["weights", "verify", "toy"]) == 1
    assert "DIFFERS" in capsys.readouterr().out
    assert run(["weights", "verify", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)[0]["ok"] is False
    path.with_name("provenance.json").write_text("{")
    assert run(["weights", "verify"]) == 2
    assert "is damaged" in capsys.readouterr().err


def test_the_commands(
    served: str, published: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch, card())
    assert run(["weights", "path", "toy"]) == 2
    assert "Run: dar-bench weights fetch toy" in capsys.readouterr().err
    assert run(["weights", "fetch", "toy", "--url", served, "--offline"]) == 2
    assert served in capsys.readouterr().err
    assert "DAR_BENCH_OFFLINE" not in os.environ, "--offline is for one command"
    assert run(["weights", "fetch", "toy", "--url", served]) == 0
    assert capsys.readouterr().out == f"{weights.store_path(card())}\n"
    assert run(["weights", "path", "toy"]) == 0
    assert capsys.readouterr().out == f"{weights.store_path(card())}\n"
    assert run(["weights", "list"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == [
        "toy",
        "present",
        "https://weights.invalid/toy.pt",
    ]
    assert run(["weights", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["provenance"]["source"]["url"] == served
    for arguments in (["fetch", "toy", "--url", served], ["import", "toy", str(published)]):
        assert run(["weights", *arguments, "--json"]) == 0
        facts = json.loads(capsys.readouterr().out)
        assert (facts["model"], facts["file"]) == ("toy", str(weights.store_path(card())))
        assert facts["provenance"]["sha256"] == sha256_file(weights.store_path(card()))
    assert run(["weights", "import", "toy", "nowhere.pt"]) == 2
    assert "There is no file" in capsys.readouterr().err
    assert run(["weights", "fetch", "tpy"]) == 2
    assert "Did you mean 'toy'?" in capsys.readouterr().err
