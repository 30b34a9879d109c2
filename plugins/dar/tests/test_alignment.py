"""The network of the alignment loss: its weights come through the store. A tiny one of the same structure stands in."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import timm
import torch
from dar_bench_dar.train.losses import DinoTarget
from timm.models.vision_transformer import checkpoint_filter_fn

from dar_bench.api import Card
from dar_bench.download import known_hash
from dar_bench.errors import UserError
from dar_bench.features import vit_weights
from dar_bench.features.vit_cards import VIT_CARDS
from dar_bench.weights import import_file, store_path

SIZES = {"embed_dim": 16, "depth": 2, "num_heads": 2}
ARCHITECTURE = "vit_base_patch14_dinov2"
CPU = torch.device("cpu")


class Server(ThreadingHTTPServer):
    """Serves a folder and remembers what it was asked."""

    def __init__(self, folder: Path):
        self.asked: list[str] = []
        asked = self.asked

        class Handler(SimpleHTTPRequestHandler):
            def log_message(self, *arguments: object) -> None:
                asked.append(self.path)

        super().__init__(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """The file as it is published: the names of timm, positions for 37 x 37 patches, and a mask token."""
    torch.manual_seed(0)
    layout = vit_weights.layout(tiny(""))
    state = {name: torch.randn(shape) * 0.3 for name, shape in layout.items()}
    folder = tmp_path / "served"
    folder.mkdir()
    torch.save(state | {"mask_token": torch.zeros(1, 16)}, folder / "dino.pth")
    return folder / "dino.pth"


@pytest.fixture
def server(published: Path) -> Iterator[Server]:
    with Server(published.parent) as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield running
        running.shutdown()


def tiny(url: str) -> Card:
    card = VIT_CARDS["dinov2-vitb14"]
    return replace(card, config={**card.config, "overrides": SIZES}, weights=replace(card.weights, url=url))


def served(server: Server) -> Card:
    return tiny(f"http://127.0.0.1:{server.server_port}/dino.pth")


def test_features_are_those_of_timm_with_the_published_file(published: Path) -> None:
    import_file(tiny(""), published)
    image = torch.rand(2, 3, 64, 64) * 2 - 1
    found = DinoTarget(CPU, tiny(""))(image)

    network = timm.create_model(ARCHITECTURE, pretrained=False, img_size=224, **SIZES)
    timm.models.load_checkpoint(network, str(published), filter_fn=checkpoint_filter_fn)
    mean, deviation = (torch.tensor(tiny("").config[key])[:, None, None] for key in ("mean", "std"))
    pixels = torch.nn.functional.interpolate((image + 1) / 2, size=(224, 224), mode="bicubic")
    with torch.no_grad():
        expected = network.eval().forward_features((pixels - mean) / deviation)[:, 1:]
    assert found.shape == (2, 16 * 16, 16)
    assert torch.equal(found, expected)


def test_the_published_network_is_as_wide_as_the_loss_expects() -> None:
    assert vit_weights.layout(VIT_CARDS["dinov2-vitb14"])["cls_token"] == (1, 1, DinoTarget.dim)


def test_a_training_fetches_the_weights_once_and_records_their_hash(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = served(server)
    DinoTarget(CPU, card)
    assert server.asked == ["/dino.pth"]
    assert known_hash(card.weights.url) is not None
    monkeypatch.setenv("DAR_BENCH_OFFLINE", "1")
    target = DinoTarget(CPU, card)
    assert server.asked == ["/dino.pth"]
    assert not any(parameter.requires_grad for parameter in target.network.parameters())


def test_processes_that_start_together_fetch_once(server: Server) -> None:
    card = served(server)
    failed: list[BaseException] = []

    def make() -> None:
        try:
            DinoTarget(CPU, card)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=make) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert server.asked == ["/dino.pth"]


def test_another_file_than_the_first_is_refused(server: Server, published: Path) -> None:
    card = served(server)
    DinoTarget(CPU, card)
    store_path(card).unlink()
    published.write_bytes(published.read_bytes() + b"x")
    with pytest.raises(UserError, match=r"alignment loss cannot be had.*not the expected one"):
        DinoTarget(CPU, card)
    assert not store_path(card).exists()


def test_without_a_network_the_message_says_what_to_do(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAR_BENCH_OFFLINE", "1")
    with pytest.raises(UserError, match=r"downloads are off") as raised:
        DinoTarget(CPU, served(server))
    assert "dar-bench weights import dinov2-vitb14 dinov2_vitb14_pretrain.pth" in raised.value.hint
    assert "--set loss.alignment_weight=0" in raised.value.hint
    assert server.asked == []
