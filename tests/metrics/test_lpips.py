"""LPIPS with a random backbone in the published file's layout: what is tested is the wiring."""

from __future__ import annotations

import functools
import importlib.util
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import lpips
import numpy as np
import pytest
import torch

from dar_bench.errors import UserError
from dar_bench.hashing import sha256_file
from dar_bench.metrics import lpips as ours
from dar_bench.metrics.lpips import Lpips, backbone_path, load_network

# Layer of AlexNet's features to (out, in, kernel) of its convolution.
ALEXNET = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store, and an empty folder of torch.hub."""
    monkeypatch.setenv("DAR_BENCH_HOME", str(tmp_path / "store"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "store" / "backbones"


def write_backbone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    state = {"classifier.1.weight": torch.zeros(1)}
    for layer, (out, into, kernel) in ALEXNET.items():
        state[f"features.{layer}.weight"] = torch.randn(out, into, kernel, kernel, generator=random) * 0.05
        state[f"features.{layer}.bias"] = torch.randn(out, generator=random) * 0.05
    folder.mkdir(parents=True)
    path = folder / "alexnet-owt-7be5be79.pth"
    torch.save(state, path)
    monkeypatch.setattr(ours, "_FILES", {"alex": (path.name, sha256_file(path)[:8])})
    return state


def images(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 3, 64, 64), dtype=np.uint8)


def test_equals_the_package_with_the_same_weights(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = write_backbone(store, monkeypatch)
    metric = Lpips()
    first, second = images(3, 0), images(3, 1)
    monkeypatch.setattr(ours, "_CHUNK", 2)
    found = metric.distances(first, second)

    reference = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    for name, parameter in reference.net.named_parameters():
        parameter.data.copy_(state["features." + name.split(".", 1)[1]])
    with torch.inference_mode():
        pixels = [torch.from_numpy(x).float() / 255.0 for x in (first, second)]
        expected = reference(*pixels, normalize=True).flatten().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert (found > 0.0).all()
    assert metric.distances(first, first) == pytest.approx([0.0] * 3, abs=1e-12)
    assert metric.weights_sha256 == sha256_file(store / "alexnet-owt-7be5be79.pth")


def test_missing_backbone_is_named_and_never_downloaded(store: Path) -> None:
    with pytest.raises(UserError, match=r"alexnet-owt-7be5be79\.pth is neither in .*Download https://"):
        Lpips()
    assert not store.exists()


def test_a_training_fetches_the_backbone_into_the_store_once(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_backbone(tmp_path / "served", monkeypatch)
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(ours, "_ADDRESS", f"http://127.0.0.1:{server.server_port}")
        found = backbone_path("alex", fetch=True)
        server.shutdown()
    assert found == store / "alexnet-owt-7be5be79.pth"
    # The server is gone: what is here serves.
    sha256, network = load_network("alex", "cpu", fetch=True)
    assert sha256 == sha256_file(found)
    pixels = torch.rand(2, 3, 64, 64, requires_grad=True)
    network(pixels, torch.zeros(2, 3, 64, 64)).mean().backward()
    assert pixels.grad is not None and pixels.grad.abs().max() > 0
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_another_file_of_that_name_is_refused(store: Path) -> None:
    store.mkdir(parents=True)
    (store / "vgg16-397923af.pth").write_bytes(b"half a download")
    with pytest.raises(UserError, match="not the published file"):
        Lpips("vgg")


def test_missing_package_says_what_to_install(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="lpips is not installed"):
        Lpips()


def test_backbone_without_its_layers_is_refused(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.mkdir(parents=True)
    path = store / "alexnet.pth"
    torch.save({"features.0.weight": torch.zeros(64, 3, 11, 11)}, path)
    monkeypatch.setattr(ours, "_FILES", {"alex": (path.name, sha256_file(path)[:8])})
    with pytest.raises(UserError, match="lacks the weights"):
        Lpips()
