"""Vision-transformer extractors: small networks of the same structure against plain torch, real preprocessing."""

from __future__ import annotations

import http.server
import math
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F
from torchvision import transforms

from dar_bench.api import Card
from dar_bench.cli.main import run
from dar_bench.errors import UserError
from dar_bench.features import vit, vit_weights
from dar_bench.features.cards import EXTRACTOR_CARDS
from dar_bench.features.names import load_extractor
from dar_bench.features.vit import VitExtractor, float_bicubic_stretch, pil_bicubic_crop, pil_bicubic_stretch
from dar_bench.features.vit_cards import VIT_CARDS
from dar_bench.weights import fetch, import_file

sys.path.insert(0, str(Path(__file__).parent))
import clip_toy

RANDOM = np.random.default_rng(0)


def images(height: int, width: int, count: int = 3) -> torch.Tensor:
    return torch.from_numpy(RANDOM.integers(0, 256, (count, 3, height, width), dtype=np.uint8))


def small(name: str) -> Card:
    """The card of a tiny network of the same family; no hash is published for it."""
    card = VIT_CARDS[name]
    changes = {"embed_dim": clip_toy.WIDTH, "depth": clip_toy.DEPTH, "num_heads": 2, "patch_size": 8}
    config = {**card.config, "overrides": changes, "size": clip_toy.SIZE, "patch": 8}
    if name.startswith("clip"):
        changes["num_classes"] = clip_toy.EMBEDDING
    else:
        config["stored_grid"] = 6
    return replace(card, config=config, weights=replace(card.weights, sha256=None))


def save_program(model: torch.nn.Module, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch would rather have us export in another way
        example = torch.zeros(1, 3, clip_toy.SIZE, clip_toy.SIZE)
        torch.jit.save(torch.jit.trace(model, example, check_trace=False), path)  # type: ignore[no-untyped-call]


@pytest.fixture
def clip() -> clip_toy.ToyClip:
    torch.manual_seed(0)
    return clip_toy.ToyClip().eval()


@pytest.fixture
def clip_file(clip: clip_toy.ToyClip, tmp_path: Path) -> Path:
    """CLIP is published as a compiled program."""
    path = tmp_path / "clip.pt"
    save_program(clip, path)
    return path


@pytest.fixture
def dino_file(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    layout = vit_weights.layout(small("dinov2-vitl14"))
    state = {name: torch.randn(shape) * 0.3 for name, shape in layout.items()}
    state["mask_token"] = torch.zeros(1, clip_toy.WIDTH)
    path = tmp_path / "dino.pth"
    torch.save(state, path)
    return path


@pytest.mark.parametrize("name", ["clip-vitb32", "clip-vitl14-336"])
def test_clip_equals_its_published_structure(name: str, clip: clip_toy.ToyClip, clip_file: Path) -> None:
    import_file(small(name), clip_file)
    extractor = VitExtractor(small(name))
    batch = images(clip_toy.SIZE, clip_toy.SIZE)
    with torch.no_grad():
        expected = clip(extractor.preprocess(batch))
    if name == "clip-vitl14-336":
        expected = expected / expected.norm(dim=1, keepdim=True)
    found = extractor.extract(batch)
    # Two orders of the same float32 sums, values of some 5.
    np.testing.assert_allclose(found.pool, expected.numpy(), atol=2e-5)
    assert found.probabilities is None
    assert found.extractor == name


def dino_embedding(state: dict[str, torch.Tensor], pixels: torch.Tensor) -> torch.Tensor:
    """DINOv2's forward pass in plain torch: pre-norm blocks, each branch scaled per channel."""
    x = F.conv2d(pixels, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=8)
    x = torch.cat([state["cls_token"].expand(len(x), -1, -1), x.flatten(2).transpose(1, 2)], dim=1)
    x = x + state["pos_embed"]

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"], eps=1e-6)

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    for number in range(clip_toy.DEPTH):
        block = f"blocks.{number}"
        parts = linear(norm(x, f"{block}.norm1"), f"{block}.attn.qkv").unflatten(-1, (3, 2, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        scores = (query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])).softmax(dim=-1)
        mixed = linear((scores @ value).transpose(1, 2).flatten(2), f"{block}.attn.proj")
        x = x + state[f"{block}.ls1.gamma"] * mixed
        hidden = F.gelu(linear(norm(x, f"{block}.norm2"), f"{block}.mlp.fc1"))
        x = x + state[f"{block}.ls2.gamma"] * linear(hidden, f"{block}.mlp.fc2")
    return norm(x, "norm")[:, 0]


def test_dinov2_equals_its_published_structure(dino_file: Path) -> None:
    import_file(small("dinov2-vitl14"), dino_file)
    extractor = VitExtractor(small("dinov2-vitl14"))
    state = torch.load(dino_file, weights_only=True)
    state["pos_embed"] = vit_weights.resample_positions(state["pos_embed"], 4)
    batch = images(48, 40)
    with torch.no_grad():
        expected = dino_embedding(state, extractor.preprocess(batch))
    np.testing.assert_allclose(extractor.extract(batch).pool, expected.numpy(), atol=2e-5)


def test_positions_are_sampled_where_the_published_code_samples_them() -> None:
    """Bicubic by hand (a = -0.75, edges repeated) at (i + 0.5) 37 / 16.1 - 0.5, one row of embeddings."""
    values = RANDOM.normal(size=37)
    square = torch.from_numpy(np.tile(values, (37, 1))).reshape(1, 37 * 37, 1)
    stored = torch.cat([torch.full((1, 1, 1), 7.0, dtype=torch.float64), square], dim=1)
    found = vit_weights.resample_positions(stored, 16)
    assert found.shape == (1, 257, 1)
    assert found[0, 0, 0] == 7.0

    def weight(distance: float, a: float = -0.75) -> float:
        d = abs(distance)
        if d <= 1:
            return (a + 2) * d**3 - (a + 3) * d**2 + 1
        return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0

    for place in range(16):
        at = (place + 0.5) * 37 / 16.1 - 0.5
        taps = range(math.floor(at) - 1, math.floor(at) + 3)
        expected = sum(weight(at - tap) * values[min(max(tap, 0), 36)] for tap in taps)
        assert found[0, 1 + place, 0].item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("shape", [(64, 64), (300, 300), (50, 80), (224, 224)])
def test_pillow_preprocessing_equals_torchvisions(shape: tuple[int, int]) -> None:
    batch = images(*shape)
    bicubic = transforms.InterpolationMode.BICUBIC
    stretch = transforms.Compose([transforms.Resize((224, 224), bicubic), transforms.ToTensor()])
    crop = transforms.Compose(
        [transforms.Resize(224, bicubic), transforms.CenterCrop(224), transforms.ToTensor()]
    )
    for ours, theirs in ((pil_bicubic_stretch, stretch), (pil_bicubic_crop, crop)):
        pictures = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in batch]
        assert torch.equal(ours(batch, 224), torch.stack([theirs(picture) for picture in pictures]))


@pytest.mark.parametrize("side", [20, 61])
def test_float_bicubic_is_the_cubic_of_keys(side: int) -> None:
    """a = -0.5, widened by the factor when shrinking, weights normalised inside the image."""
    size = 33
    batch = images(side, side, count=1)
    scale = max(side / size, 1.0)
    matrix = np.zeros((size, side))
    for row in range(size):
        distance = np.abs((row + 0.5) * side / size - 0.5 - np.arange(side)) / scale
        near = 1.5 * distance**3 - 2.5 * distance**2 + 1
        far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
        matrix[row] = np.where(distance < 1, near, np.where(distance < 2, far, 0.0))
        matrix[row] /= matrix[row].sum()
    pixels = batch[0].double().numpy() / 255
    expected = np.einsum("iy,cyx,jx->cij", matrix, pixels, matrix)
    np.testing.assert_allclose(float_bicubic_stretch(batch, size)[0].numpy(), expected, atol=2e-6)


def test_features_do_not_depend_on_the_batch(dino_file: Path) -> None:
    import_file(small("dinov2-vitl14"), dino_file)
    extractor = VitExtractor(small("dinov2-vitl14"))
    batch = images(32, 32, count=11)
    together = extractor.extract(batch).pool
    alone = np.concatenate([extractor.extract(batch[row : row + 1]).pool for row in range(11)])
    np.testing.assert_allclose(together, alone, atol=2e-5)


def test_fingerprints_tell_weights_and_preprocessing_apart(clip_file: Path, dino_file: Path) -> None:
    found = set()
    names = [name for name in VIT_CARDS if name != "dinov2-vitb14"]  # like ViT-L in all but its size
    for name in names:
        import_file(small(name), dino_file if name.startswith("dino") else clip_file)
        found.add(VitExtractor(small(name)).fingerprint())
    torch.manual_seed(5)
    save_program(clip_toy.ToyClip().eval(), clip_file)
    import_file(small("clip-vitb32"), clip_file)
    found.add(VitExtractor(small("clip-vitb32")).fingerprint())
    assert len(found) == 4


def test_imported_weights_count_as_published_only_with_the_published_hash(clip_file: Path) -> None:
    from dar_bench.hashing import sha256_file

    card = small("clip-vitb32")
    import_file(card, clip_file)
    assert not VitExtractor(card).published
    known = replace(card, weights=replace(card.weights, sha256=sha256_file(clip_file)))
    assert VitExtractor(known).published


@pytest.fixture
def served(tmp_path: Path, clip_file: Path, dino_file: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_weights_are_fetched_and_the_first_hash_is_demanded_from_then_on(
    served: str, dino_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = small("dinov2-vitl14")
    card = replace(card, weights=replace(card.weights, url=f"{served}/dino.pth"))
    fetch(card)
    assert VitExtractor(card).published
    dino_file.write_bytes(dino_file.read_bytes() + b"x")
    with pytest.raises(UserError, match="is not the expected one"):
        fetch(card)
    monkeypatch.setenv("DAR_BENCH_OFFLINE", "1")
    with pytest.raises(UserError, match="downloads are off"):
        fetch(card)
    VitExtractor(card)  # What is there works without a network.


@pytest.mark.parametrize("name", VIT_CARDS)
def test_missing_weights_say_how_to_get_them(name: str) -> None:
    with pytest.raises(UserError, match=f"dar-bench weights fetch {name}"):
        load_extractor(name)


def test_the_commands_know_the_extractors(
    clip_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(EXTRACTOR_CARDS, "clip-vitb32", small("clip-vitb32"))
    monkeypatch.setattr(vit, "clip_vitb32", partial(VitExtractor, small("clip-vitb32")))
    assert run(["weights", "import", "clip-vitb32", str(clip_file)]) == 0
    assert run(["weights", "verify", "clip-vitb32"]) == 0
    np.savez(clip_file.with_name("samples.npz"), images(8, 8, count=12).permute(0, 2, 3, 1).numpy())
    samples = str(clip_file.with_name("samples.npz"))
    assert run(["lint", samples, "--extractor", "clip-vitb32", "--count", "0"]) == 0
    assert "12 images for 12 feature dimensions of clip-vitb32" in capsys.readouterr().out
    assert run(["weights", "list"]) == 0
    assert "dinov2-vitl14" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["dinov2-vitl14", "clip-vitl14-336"])
def test_the_file_of_another_network_is_refused(name: str, clip_file: Path, dino_file: Path) -> None:
    wrong = clip_file if name.startswith("dino") else dino_file
    with pytest.raises(UserError, match=r"does not hold the weights|is not a CLIP model"):
        import_file(small(name), wrong)


def test_a_cut_archive_is_refused(clip_file: Path) -> None:
    clip_file.write_bytes(clip_file.read_bytes()[:-2000])
    with pytest.raises(UserError, match="its end is missing"):
        import_file(small("clip-vitb32"), clip_file)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (torch.zeros(2, 3, 8, 8), "on uint8 images, got float32"),
        (torch.zeros(2, 1, 8, 8, dtype=torch.uint8), "on RGB images"),
        (torch.zeros(0, 3, 8, 8, dtype=torch.uint8), "No images"),
    ],
)
def test_images_of_another_kind_are_refused(wrong: torch.Tensor, said: str, dino_file: Path) -> None:
    import_file(small("dinov2-vitl14"), dino_file)
    with pytest.raises(UserError, match=said):
        VitExtractor(small("dinov2-vitl14")).extract(wrong)


def test_the_layouts_are_those_of_the_published_sizes() -> None:
    """Counted without memory: timm's networks, with the zero bias that its CLIP projection has."""
    for name, card in VIT_CARDS.items():
        layout = vit_weights.layout(card)
        bias = math.prod(layout["head.bias"]) if "head.bias" in layout else 0
        assert sum(math.prod(shape) for shape in layout.values()) - bias == card.parameters, name
