"""Images through a small autoencoder of random weights and back, by the commands that measure and show it."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dar_bench_kl.cards import CARDS, SD_SIZES
from dar_bench_kl.load import ScaledAutoencoder, layout, load_autoencoder
from PIL import Image
from safetensors.torch import save_file

from dar_bench import plugins
from dar_bench.api import LoadOptions, Plugin, WeightsFile
from dar_bench.cli.main import run
from dar_bench.console import progress
from dar_bench.data.transforms import center_crop, to_chw
from dar_bench.features.base import Features
from dar_bench.hashing import sha256_file
from dar_bench.remeasuring import measure_again, wanted_again
from dar_bench.results.store import read_record

SIZE = 32
COUNT = 18
CARD = replace(
    CARDS[0],
    name="small-vae",
    image_size=SIZE,
    factor=2,
    config={**SD_SIZES, "width": 32, "multipliers": (1, 1), "encoder_blocks": 1, "decoder_blocks": 1},
)

Run = Callable[..., tuple[int, str, str]]


class Colours:
    """Mean colours of a 4 x 4 raster in place of the embedded extractor."""

    name = "colours"

    def __init__(self, device: str = "cpu"):
        pass

    def fingerprint(self) -> str:
        return "colours;mean-4x4"

    def extract(self, images: torch.Tensor) -> Features:
        pooled = torch.nn.functional.adaptive_avg_pool2d(images.float() / 255, 4).flatten(1)
        return Features(
            pool=pooled.numpy(), probabilities=None, extractor=self.name, fingerprint=self.fingerprint()
        )


@pytest.fixture
def autoencoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScaledAutoencoder]:
    """Install the autoencoder, and work in a folder with some images."""
    monkeypatch.setenv("DAR_BENCH_HOME", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dar_bench.features.efficientnet.EfficientNetLite0", Colours)
    torch.manual_seed(0)
    state = {name: 0.1 * torch.randn(shape) for name, shape in layout(CARD).items()}
    save_file(state, tmp_path / "vae.safetensors")
    card = replace(CARD, weights=WeightsFile(filename="vae", local=str(tmp_path / "vae.safetensors")))
    small = types.ModuleType("small_vae")
    small.plugin = Plugin(name="small-vae", cards=(card,))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "small_vae", small)
    entry = EntryPoint(name="small-vae", value="small_vae:plugin", group="dar_bench.plugins")
    installed = [*entry_points(group="dar_bench.plugins"), entry]
    monkeypatch.setattr(plugins, "entry_points", lambda group: installed)
    plugins.registry.cache_clear()
    random = np.random.default_rng(0)
    Path("images").mkdir()
    for number in range(COUNT):
        colour = random.integers(0, 256, (1, 1, 3)) + random.integers(-20, 20, (40, SIZE, 3))
        Image.fromarray(colour.clip(0, 255).astype(np.uint8)).save(f"images/{number:02d}.png")
    yield load_autoencoder(card, tmp_path / "vae.safetensors", LoadOptions())
    plugins.registry.cache_clear()


@pytest.fixture
def dar_bench(capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return command


def originals() -> torch.Tensor:
    crops = [to_chw(center_crop(Image.open(path), SIZE)) for path in sorted(Path("images").iterdir())]
    return torch.from_numpy(np.stack(crops))


def measure(dar_bench: Run, *arguments: object) -> Any:
    status, out, err = dar_bench(
        "eval", "rfid", "--tokenizer", "small-vae", "--data", "images", "--json", *arguments
    )
    assert status == 0, err
    return json.loads(out)


def test_reconstruction_scores_of_an_autoencoder(dar_bench: Run, autoencoder: ScaledAutoencoder) -> None:
    record = measure(dar_bench)
    assert [score["name"] for score in record["scores"]] == ["rFD[colours]", "PSNR", "SSIM"]
    assert record["samples"] == COUNT
    assert record["model"]["weights_sha256"] == sha256_file("vae.safetensors")
    assert record["options"] == {"latents": "mean"}
    assert record["cost"]["network_evaluations"] == {"autoencoder": 1}
    assert record["cost"]["tokens_per_second"] is None
    (path,) = Path("results").glob("sketch-*.safetensors")
    from safetensors.numpy import load_file

    sketch = load_file(path)
    assert "codes" not in sketch
    assert sketch["images"].shape == (COUNT, 8)


def test_the_images_are_those_of_the_mean_latents(dar_bench: Run, autoencoder: ScaledAutoencoder) -> None:
    status, out, _ = dar_bench(
        "reconstruct", "small-vae", "images", "--npz", "r.npz", "--grid", "g.png", "--json"
    )
    assert status == 0
    assert len(json.loads(out)["images"]) == COUNT
    expected = autoencoder.decode(autoencoder.moments(originals())[0]).permute(0, 2, 3, 1).numpy()
    with np.load("r.npz") as archive:
        found = archive["arr_0"]
    # The same batch on the same machine, but for the pass that the commands make in between.
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1
    assert (found != expected).mean() < 0.01
    assert len(np.unique(found)) > 10, "random weights paint something"


def test_scores_depend_neither_on_the_batch_size_nor_on_the_seed(
    dar_bench: Run, autoencoder: ScaledAutoencoder
) -> None:
    first = measure(dar_bench)
    for arguments in (("--batch-size", 5), ("--seed", 3)):
        other = measure(dar_bench, *arguments)
        for one, two in zip(first["scores"], other["scores"], strict=True):
            # Single pixels may turn by one grey level with the batch.
            assert one["value"] == pytest.approx(two["value"], rel=1e-3), one["name"]


def test_a_record_of_an_autoencoder_is_made_again(dar_bench: Run, autoencoder: ScaledAutoencoder) -> None:
    measure(dar_bench)
    (path,) = Path("results").glob("reconstruction-*.json")
    record = read_record(path)
    again, sketch = measure_again(wanted_again(record), LoadOptions(), progress)
    assert again.scores == record.scores
    assert sketch is not None and sketch.codes is None
    assert again.sketch == record.sketch


def test_options_of_tokenizers_are_refused(dar_bench: Run, autoencoder: ScaledAutoencoder) -> None:
    status, _, err = dar_bench("reconstruct", "small-vae", "images", "--steps", 4)
    assert (status, "steps" in err) == (2, True)
    status, _, err = dar_bench("tokenize", "small-vae", "images", "--out", "codes")
    assert (status, "latents are no codes" in err) == (2, True)
