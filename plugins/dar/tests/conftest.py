"""Shared by the plugin's tests: the published fixtures, and a store that is nobody's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from dar_bench_dar.model.config import TokenizerConfig
from dar_bench_dar.model.tokenizer import SequentialDiffusionTokenizer
from dar_bench_dar.weights import convert_tokenizer
from safetensors.torch import load_file

GOLDENS = Path(__file__).parent / "goldens"

GOLDEN_CONFIG = TokenizerConfig(
    image_size=64,
    tokens=32,
    groups=8,
    codebook_size=256,
    width=128,
    encoder_depth=1,
    token_decoder_depth=1,
    decoder_width=128,
    decoder_depth=2,
)

SMALL_CONFIG = TokenizerConfig(
    image_size=16,
    tokens=16,
    groups=4,
    codebook_size=32,
    width=64,
    encoder_depth=1,
    token_decoder_depth=1,
    patch_size=8,
    query_rows=16,
    decoder_width=64,
    decoder_depth=2,
    decoder_patch_size=4,
)


@pytest.fixture(autouse=True)
def store(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("store")
    monkeypatch.setenv("DAR_BENCH_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def golden_tokenizer() -> SequentialDiffusionTokenizer:
    """The small tokenizer of the published fixtures."""
    model = SequentialDiffusionTokenizer(GOLDEN_CONFIG)
    model.load_state_dict(convert_tokenizer(load_file(GOLDENS / "tokenizer.safetensors")))
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def tokenizer_io() -> dict[str, torch.Tensor]:
    """Inputs and outputs that the published code gave for it."""
    return load_file(GOLDENS / "tokenizer_io.safetensors")


def randomised(config: TokenizerConfig, seed: int = 0) -> SequentialDiffusionTokenizer:
    """A tokenizer whose zero-initialised parts are random too, so that nothing is hidden behind a zero."""
    torch.manual_seed(seed)
    model = SequentialDiffusionTokenizer(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if float(parameter.abs().max()) == 0:
                parameter.normal_(std=0.1)
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def small_tokenizer() -> SequentialDiffusionTokenizer:
    return randomised(SMALL_CONFIG)
