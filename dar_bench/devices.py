"""Which device and precision a command runs on, checked before anything is loaded."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from dar_bench.api import LoadOptions
from dar_bench.errors import UserError

Precision = Literal["float32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")

_DEVICE = re.compile(r"auto|cpu|cuda(?::(?P<index>\d+))?")


def choose_device(name: str = "auto") -> str:
    """Return a torch device string that works on this machine.

    Args:
        name: ``cpu``, ``cuda``, ``cuda:1``, or ``auto`` for the first GPU where there is one.

    Raises:
        UserError: another name, or a GPU that this machine or this torch does not have.
    """
    import torch

    match = _DEVICE.fullmatch(name)
    if match is None:
        raise UserError(f"Unknown device '{name}'.", why="Known: auto, cpu, cuda, cuda:0, cuda:1 and so on.")
    available = torch.cuda.is_available()
    if name == "auto":
        return "cuda:0" if available else "cpu"
    if name == "cpu":
        return "cpu"
    if not available:
        built = torch.version.cuda or torch.version.hip
        raise UserError(
            f"The device '{name}' is not available.",
            why="torch sees no GPU on this machine." if built else "This torch was built for the CPU alone.",
            hint="Use --device cpu, or leave --device away.",
        )
    index, count = int(match["index"] or 0), torch.cuda.device_count()
    if index >= count:
        raise UserError(
            f"There is no GPU {index}.",
            why=f"torch sees {count}, numbered from 0.",
            hint=f"Use a device from cuda:0 to cuda:{count - 1}.",
        )
    return f"cuda:{index}"


def load_options(device: str = "auto", dtype: str = "float32", compile: bool = False) -> LoadOptions:
    """Return checked load options.

    Args:
        device: see ``choose_device``.
        dtype: one of ``PRECISIONS``.
        compile: compile the network's step.

    Raises:
        UserError: the device does not exist, cannot compute in ``dtype``, or nothing can compile for it.
    """
    import torch

    chosen = choose_device(device)
    if dtype not in PRECISIONS:
        raise UserError(f"Unknown precision '{dtype}'.", why=f"Known: {', '.join(PRECISIONS)}.")
    on_gpu = chosen != "cpu"
    if dtype == "bfloat16" and on_gpu:
        with torch.cuda.device(chosen):
            supported = torch.cuda.is_bf16_supported(including_emulation=False)
        if not supported:
            raise UserError(
                f"The GPU {torch.cuda.get_device_name(chosen)} does not compute in bfloat16.",
                hint="Use --dtype float32.",
            )
    if compile:
        check_compiler(on_gpu=on_gpu, hint="leave --compile away")
    return LoadOptions(device=chosen, dtype=dtype, compile=compile)


@contextmanager
def exact_convolutions() -> Iterator[None]:
    """Let convolutions on a GPU compute in float32, not in TF32, which rounds to 10 bits and is torch's default."""
    import torch

    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield


def check_compiler(*, on_gpu: bool, hint: str) -> None:
    """Tell a missing compiler before the model is loaded, not in the middle of the first step.

    Args:
        on_gpu: whether code for a GPU is wanted.
        hint: what to do instead, as the end of a sentence.

    Raises:
        UserError: ``torch.compile`` would find no compiler.
    """
    if on_gpu:
        if importlib.util.find_spec("triton") is None:
            raise UserError(
                "torch.compile needs Triton on a GPU, and it is not installed.",
                hint=f"Install it, or {hint}.",
            )
        return
    if not any(shutil.which(name) for name in (os.environ.get("CXX", ""), "g++", "clang++", "c++") if name):
        raise UserError(
            "torch.compile needs a C++ compiler on the CPU, and none is installed.",
            hint=f"Install g++ or clang++, or {hint}.",
        )
