from __future__ import annotations

import pytest
import torch

from dar_bench import devices
from dar_bench.devices import choose_device, load_options
from dar_bench.errors import UserError


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that there are two."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("gpus")
def test_auto_takes_the_first_gpu() -> None:
    assert [choose_device(name) for name in ("auto", "cuda", "cuda:1", "cpu")] == [
        "cuda:0",
        "cuda:0",
        "cuda:1",
        "cpu",
    ]
    with pytest.raises(UserError, match="There is no GPU 2. torch sees 2, numbered from 0."):
        choose_device("cuda:2")


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu() -> None:
    assert choose_device("auto") == "cpu"
    with pytest.raises(UserError, match="'cuda:0' is not available"):
        choose_device("cuda:0")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "CPU", "cuda:-1", ""])
def test_unknown_devices(name: str) -> None:
    with pytest.raises(UserError, match=f"Unknown device '{name}'."):
        choose_device(name)


def test_precisions() -> None:
    assert load_options("cpu", "bfloat16").dtype == "bfloat16"
    with pytest.raises(UserError, match="Unknown precision 'float16'. Known: float32, bfloat16."):
        load_options("cpu", "float16")


def test_compiling_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices.shutil, "which", lambda name: None)
    assert load_options("cpu").compile is False
    with pytest.raises(UserError, match="needs a C\\+\\+ compiler"):
        load_options("cpu", compile=True)
    monkeypatch.setattr(devices.shutil, "which", lambda name: "/usr/bin/g++" if name == "g++" else None)
    assert load_options("cpu", compile=True).compile is True
