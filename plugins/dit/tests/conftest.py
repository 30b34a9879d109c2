"""Shared by the plugin's tests: the published fixture, small models, and a store that is nobody's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from dar_bench_dit.model import dit_config
from dar_bench_dit.weights import convert
from safetensors.torch import load_file

from dar_bench.nn.diffusion_transformer import DiffusionTransformer

GOLDENS = Path(__file__).parent / "goldens" / "dit.safetensors"

GOLDEN_SIZES = {
    "input_size": 8,
    "patch_size": 2,
    "channels": 4,
    "width": 48,
    "depth": 3,
    "heads": 4,
    "num_classes": 10,
}

PIXEL_SIZES = {
    "input_size": 8,
    "patch_size": 4,
    "channels": 3,
    "width": 32,
    "depth": 1,
    "heads": 2,
    "num_classes": 5,
}


@pytest.fixture(autouse=True)
def store(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("store")
    monkeypatch.setenv("DAR_BENCH_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def goldens() -> dict[str, torch.Tensor]:
    """Inputs and outputs of the published code, and its small network's state dict under ``sd.``."""
    return load_file(GOLDENS)


@pytest.fixture(scope="session")
def golden_state(goldens: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The published state dict of the fixture's network."""
    return {name.removeprefix("sd."): value for name, value in goldens.items() if name.startswith("sd.")}


@pytest.fixture(scope="session")
def golden_network(golden_state: dict[str, torch.Tensor]) -> DiffusionTransformer:
    network = DiffusionTransformer(dit_config(GOLDEN_SIZES))
    network.load_state_dict(convert(golden_state), strict=True)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def pixel_network() -> DiffusionTransformer:
    """A network for pixels whose zero-initialised parts are random too, so that nothing is hidden behind a zero."""
    torch.manual_seed(0)
    network = DiffusionTransformer(dit_config(PIXEL_SIZES))
    network.initialize()
    with torch.no_grad():
        for parameter in network.parameters():
            if float(parameter.abs().max()) == 0:
                parameter.normal_(std=0.1)
    return network.eval().requires_grad_(False)
