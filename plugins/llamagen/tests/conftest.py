"""Shared by the plugin's tests: the published fixtures, and a store that is nobody's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from dar_bench_llamagen.model.ar import build_ar
from dar_bench_llamagen.model.tokenizer import TokenizerConfig, VQTokenizer
from dar_bench_llamagen.weights import convert_ar, convert_tokenizer
from safetensors.torch import load_file

from dar_bench.nn.llama import Llama, LlamaConfig

GOLDENS = Path(__file__).parent / "goldens"

GOLDEN_TOKENIZER = TokenizerConfig(
    image_size=16, codebook_size=64, width=32, multipliers=(1, 1, 2), blocks=1, latent=16
)
GOLDEN_AR = LlamaConfig(layers=2, heads=2, dim=64, codebook_size=64, num_tokens=16, num_classes=10)


@pytest.fixture(autouse=True)
def store(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("store")
    monkeypatch.setenv("DAR_BENCH_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def golden_tokenizer() -> VQTokenizer:
    """The small tokenizer of the published fixtures."""
    model = VQTokenizer(GOLDEN_TOKENIZER)
    checkpoint = {"model": load_file(GOLDENS / "vq_tiny_weights.safetensors")}
    model.load_state_dict(convert_tokenizer(checkpoint), strict=True)
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def tokenizer_io() -> dict[str, torch.Tensor]:
    """Inputs and outputs that the published code gave for it."""
    return load_file(GOLDENS / "vq_tiny_io.safetensors")


@pytest.fixture(scope="session")
def golden_network() -> Llama:
    """The small autoregressive model of the published fixtures."""
    network = build_ar(GOLDEN_AR)
    checkpoint = {"model": load_file(GOLDENS / "gpt_tiny_weights.safetensors")}
    network.load_state_dict(convert_ar(checkpoint), strict=True)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def ar_io() -> dict[str, torch.Tensor]:
    """Inputs and outputs that the published code gave for it."""
    return load_file(GOLDENS / "gpt_tiny_io.safetensors")
