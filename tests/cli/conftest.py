"""A zoo of D-AR models too small to paint anything, with random weights and data of their own."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import numpy as np
import pytest
import torch
from dar_bench_dar.cards import AR_OPTIONS, decode_options
from dar_bench_dar.model.ar import build_ar
from dar_bench_dar.model.config import TokenizerConfig
from dar_bench_dar.model.tokenizer import SequentialDiffusionTokenizer, count_parameters
from safetensors.torch import save_file

from dar_bench import plugins
from dar_bench.api import DatasetSpec, GeneratorCard, Plugin, TokenizerCard, WeightsFile
from dar_bench.cli import main as cli_main
from dar_bench.features.base import Features
from dar_bench.nn.llama import LlamaConfig

SIZES = TokenizerConfig(
    image_size=16,
    tokens=8,
    groups=4,
    codebook_size=32,
    width=64,
    encoder_depth=1,
    token_decoder_depth=1,
    patch_size=8,
    query_rows=8,
    decoder_width=64,
    decoder_depth=1,
    decoder_patch_size=4,
)
NETWORK = LlamaConfig(layers=1, heads=2, dim=32, codebook_size=32, num_tokens=8, num_classes=3)
CLASSES = ("Red & Round", "Green", "Blue Thing")


@dataclasses.dataclass(frozen=True)
class Zoo:
    """Where the small models and their data are."""

    folder: Path

    @property
    def weights(self) -> Path:
        return self.folder / "small.safetensors"

    @property
    def tokenizer_weights(self) -> Path:
        return self.folder / "small-tokenizer.safetensors"


@pytest.fixture(scope="session")
def zoo_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write weights and data once, into an importable package."""
    folder = tmp_path_factory.mktemp("site") / "small_zoo"
    folder.mkdir()
    (folder / "__init__.py").write_text('"""Models and data of the tests."""\n')
    torch.manual_seed(0)
    save_random(SequentialDiffusionTokenizer(SIZES), folder / "small-tokenizer.safetensors")
    save_random(build_ar(NETWORK), folder / "small.safetensors")
    random = np.random.default_rng(0)
    for split, count in (("train", 40), ("val", 24)):
        labels = np.arange(count) % len(CLASSES)
        colours = np.eye(3)[labels] * 160 + random.uniform(0, 90, (count, 3))
        pixels = np.repeat(np.repeat(colours[:, None, None], 20, axis=1), 20, axis=2)
        pixels += random.uniform(-5, 5, pixels.shape)
        np.savez(folder / f"{split}.npz", pixels.clip(0, 255).astype(np.uint8), labels)
    return folder


def save_random(model: torch.nn.Module, path: Path) -> None:
    """Save noise in the model's layout, so that gates and heads that start at zero do something."""
    noise = {name: 0.2 * torch.randn_like(value) for name, value in model.state_dict().items()}
    save_file(noise, path)


@pytest.fixture
def zoo(
    zoo_files: Path, monkeypatch: pytest.MonkeyPatch, fresh_registry: None, tmp_path: Path
) -> Iterator[Zoo]:
    """Install the small models beside the real plugins, and work in a folder of the test's own."""
    tokenizer = TokenizerCard(
        name="small-tokenizer",
        family="tokenizer",
        summary="Random weights",
        parameters=count_parameters(SIZES),
        image_size=SIZES.image_size,
        tokens=SIZES.tokens,
        codebook_size=SIZES.codebook_size,
        groups=SIZES.groups,
        load="dar_bench_dar.load:load_tokenizer",
        weights=WeightsFile(filename="t", local=str(zoo_files / "small-tokenizer.safetensors")),
        options=decode_options(SIZES.tokens, SIZES.groups),
        config=dataclasses.asdict(SIZES),
    )
    generator = GeneratorCard(
        name="small",
        family="vanilla AR",
        summary="Random weights",
        parameters=sum(p.numel() for p in build_ar(NETWORK).parameters()),
        image_size=SIZES.image_size,
        num_classes=NETWORK.num_classes,
        class_names=CLASSES,
        tokenizer=tokenizer.name,
        reference="dots:train",
        load="dar_bench_dar.load:load_generator",
        weights=WeightsFile(filename="g", local=str(zoo_files / "small.safetensors")),
        options=AR_OPTIONS + tokenizer.options,
        config=dataclasses.asdict(NETWORK),
    )
    dots = DatasetSpec(
        name="dots",
        splits={"train": "small_zoo:train.npz", "val": "small_zoo:val.npz"},
        summary="Plain colours",
        class_names=CLASSES,
        role={"train": "generation", "val": "reconstruction"},
    )
    monkeypatch.syspath_prepend(str(zoo_files.parent))
    import small_zoo

    small_zoo.plugin = Plugin(name="small", cards=(tokenizer, generator), datasets=(dots,))
    entry = EntryPoint(name="small", value="small_zoo:plugin", group="dar_bench.plugins")
    installed = [*entry_points(group="dar_bench.plugins"), entry]
    monkeypatch.setattr(plugins, "entry_points", lambda group: installed)
    monkeypatch.chdir(tmp_path)
    yield Zoo(zoo_files)
    sys.modules.pop("small_zoo", None)


class TinyExtractor:
    """Mean colours of a 4 x 4 raster: 48 features, and a 'classifier' of as many classes."""

    name = "tiny-extractor"

    def __init__(self, device: str = "cpu"):
        self.images = 0

    def fingerprint(self) -> str:
        return "tiny-extractor;mean-4x4"

    def extract(self, images: torch.Tensor) -> Features:
        self.images += len(images)
        pooled = torch.nn.functional.adaptive_avg_pool2d(images.float() / 255, 4).flatten(1)
        return Features(
            pool=pooled.numpy(),
            probabilities=pooled.softmax(dim=1).numpy(),
            extractor=self.name,
            fingerprint=self.fingerprint(),
        )


@pytest.fixture
def tiny_extractor(monkeypatch: pytest.MonkeyPatch) -> type[TinyExtractor]:
    """Put a fast extractor in the place of the embedded one."""
    monkeypatch.setattr("dar_bench.features.efficientnet.EfficientNetLite0", TinyExtractor)
    return TinyExtractor


@pytest.fixture
def dar_bench(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs the command line in this process: status, output, errors."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = cli_main.run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run
