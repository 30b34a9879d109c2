"""Generators with what decodes for them: a tokenizer, an autoencoder, or nothing; and what is told of wrong kinds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from dar_bench import loading, plugins
from dar_bench.api import (
    AutoencoderCard,
    Card,
    GeneratedBatch,
    GeneratorCard,
    LoadOptions,
    Plugin,
    WeightsFile,
)
from dar_bench.cli.main import run
from dar_bench.errors import UserError
from dar_bench.hashing import sha256_file
from dar_bench.plugins import PluginStatus, Registry


class Flat:
    """An autoencoder whose latents are the images' means."""

    def __init__(self, card: Card):
        self.card = card

    def moments(self, images: Tensor) -> tuple[Tensor, Tensor]:
        mean = images.float().mean((2, 3), keepdim=True) / 255
        return mean, torch.zeros_like(mean)

    def decode(self, latents: Tensor) -> Tensor:
        return (latents * 255).to(torch.uint8).expand(-1, 3, 8, 8)


class Levels:
    """A generator of latents: the label says how bright."""

    def __init__(self, card: Card, autoencoder: Flat):
        self.card = card
        self.autoencoder = autoencoder

    def generate(self, labels: Tensor, keys: Any, options: Any, **given: Any) -> Iterator[GeneratedBatch]:
        latents = (labels.float() / 10).view(-1, 1, 1, 1)
        for done in (3, 5) if given["previews"] else (5,):
            images = self.autoencoder.decode(latents * done / 5)
            yield GeneratedBatch(
                indices=keys.indices, labels=labels, images=images, groups_done=done, groups=5, unit="step"
            )


def flat(card: Card, weights: Path, options: LoadOptions) -> Flat:
    return Flat(card)


def levels(card: GeneratorCard, weights: Path, options: LoadOptions) -> Levels:
    decoder = plugins.load_model(card.autoencoder, options)
    assert isinstance(decoder, Flat)
    return Levels(card, decoder)


@pytest.fixture(autouse=True)
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """A generator of latents and its autoencoder, installed."""
    files = {name: tmp_path / f"{name}.safetensors" for name in ("flat", "levels")}
    for number, path in enumerate(files.values()):
        save_file({"x": torch.full((1,), float(number))}, path)
    common = {"summary": "toy", "parameters": 1, "image_size": 8}
    cards = (
        AutoencoderCard(
            name="flat",
            family="tokenizer",
            latent_channels=3,
            factor=8,
            load="toy:flat",
            weights=WeightsFile(filename="flat", local=str(files["flat"])),
            **common,
        ),
        GeneratorCard(
            name="levels",
            family="diffusion",
            num_classes=10,
            autoencoder="flat",
            load="toy:levels",
            weights=WeightsFile(filename="levels", local=str(files["levels"])),
            **common,
        ),
    )
    registry = Registry(
        [PluginStatus(name="t", distribution="t", version="1", plugin=Plugin(name="t", cards=cards))]
    )
    loaders = {"toy:flat": flat, "toy:levels": levels}
    real = plugins.load_object
    monkeypatch.setattr(plugins, "registry", lambda: registry)
    monkeypatch.setattr(plugins, "load_object", lambda name: loaders.get(name) or real(name))
    monkeypatch.chdir(tmp_path)
    return files


def test_a_generator_comes_with_its_autoencoder_once(zoo: dict[str, Path]) -> None:
    loaded = loading.load_generator(loading.generator_card("levels"), LoadOptions())
    assert isinstance(loaded.model, Levels)
    assert loaded.autoencoder is not None
    assert loaded.autoencoder.model is loaded.model.autoencoder
    assert loaded.decoder is loaded.autoencoder
    assert loaded.tokenizer is None
    assert loaded.weights_sha256 == sha256_file(zoo["levels"])
    assert loaded.autoencoder.weights_sha256 == sha256_file(zoo["flat"])


def test_samples_and_previews_say_steps_and_what_decoded(
    zoo: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(["sample", "levels", "--labels", "4,9", "--previews", "--out", str(out), "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["tokenizer"], made["tokenizer_sha256"]) == ("flat", sha256_file(zoo["flat"]))
    assert sorted(path.name for path in (out / "previews").iterdir()) == [
        f"00000{index}-{label}-step{step}.png" for index, label in ((0, 4), (1, 9)) for step in (3, 5)
    ]
    # Another run into the same folder replaces the previews too.
    assert run(["sample", "levels", "--labels", "1", "--out", str(out), "--overwrite"]) == 0
    assert not list((out / "previews").glob("*.png"))


def test_a_prefix_needs_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    assert run(["sample", "levels", "--labels", "4", "--prefix-image", "x.png"]) == 2
    assert "'levels' has no codes, so an image cannot be its prefix" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("find", "name", "message"),
    [
        (loading.tokenizer_card, "flat", "no tokenizer.*latents are no codes"),
        (loading.tokenizer_card, "levels", "no tokenizer.*makes images of labels"),
        (loading.generator_card, "flat", "it is an autoencoder.*Generators that use it: levels"),
        (loading.autoencoder_card, "levels", "is no autoencoder"),
    ],
)
def test_models_of_other_kinds_are_named(find: Any, name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        find(name)
