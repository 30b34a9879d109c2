"""The published file on its way into the store, and what is no such file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from dar_bench_kl.cards import CARDS, SD_SIZES
from dar_bench_kl.load import count_card, load_autoencoder
from dar_bench_kl.weights import convert
from diffusers import AutoencoderKL
from safetensors.torch import save_file

from dar_bench import weights
from dar_bench.api import Autoencoder, LoadOptions
from dar_bench.errors import UserError

SMALL = dataclasses.replace(
    CARDS[0], name="small-kl", config={**SD_SIZES, "width": 32, "multipliers": (1, 2)}
)


def test_a_published_file_imports_and_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAR_BENCH_HOME", str(tmp_path / "home"))
    torch.manual_seed(0)
    theirs = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(32, 64),
        layers_per_block=2,
        latent_channels=4,
    ).eval()
    save_file(theirs.state_dict(), tmp_path / "published.safetensors")
    path = weights.import_file(SMALL, tmp_path / "published.safetensors")
    model = load_autoencoder(SMALL, path, LoadOptions(dtype="bfloat16"))
    assert isinstance(model, Autoencoder)
    images = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8)
    mean, deviation = model.moments(images)
    assert mean.dtype == deviation.dtype == torch.float32, "the autoencoder stays exact"
    assert mean.shape == (1, 4, 8, 8)
    assert model.decode(mean).shape == images.shape
    assert count_card(SMALL) == sum(parameter.numel() for parameter in theirs.parameters())


def test_other_files_are_refused() -> None:
    with pytest.raises(UserError, match="1 unknown keys, such as unet.conv_in.weight"):
        convert({"encoder.conv_in.bias": torch.zeros(4), "unet.conv_in.weight": torch.zeros(4)})
    with pytest.raises(UserError, match="holds no named tensors"):
        convert({"a": 1})
