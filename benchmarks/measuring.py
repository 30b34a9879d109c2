"""What the benchmarks share: timing variants in turns, ratios of medians, and the machine."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch

T = TypeVar("T")


def in_turns(
    variants: Mapping[str, Callable[[], T]], repeats: int, device: torch.device
) -> tuple[dict[str, list[float]], dict[str, T]]:
    """Time all variants A B A B, so that a machine that slows down slows down all of them alike.

    A first round is not counted: it pays for compilation, allocation and the choice of kernels.

    Returns:
        Seconds of every repeat, and the last result, by name.
    """
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    results: dict[str, T] = {}
    for round_number in range(repeats + 1):
        for name, run in variants.items():
            synchronize(device)
            start = time.perf_counter()
            results[name] = run()
            synchronize(device)
            if round_number:
                seconds[name].append(time.perf_counter() - start)
    return seconds, results


def rates(seconds: Mapping[str, list[float]], images: int) -> dict[str, float]:
    """Return images per second of the median repeat."""
    return {name: images / statistics.median(values) for name, values in seconds.items()}


def speedup(rate: Mapping[str, float], of: str) -> dict[str, float]:
    """Return how many times as fast the variant ``of`` is as each other one."""
    return {name: rate[of] / other for name, other in rate.items() if name != of}


def synchronize(device: torch.device) -> None:
    """Wait for the device to finish."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def machine(device: str) -> dict[str, Any]:
    """Return what the figures were measured on."""
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else processor()
    return {
        "device": name,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def show_machine(device: str) -> None:
    """Print the machine in one line."""
    print("{device}, {cores} CPU cores, {threads} threads, torch {torch}".format(**machine(device)))


def processor() -> str:
    """Return the CPU's name where Linux tells it, otherwise its architecture."""
    told = Path("/proc/cpuinfo")
    for line in told.read_text(encoding="utf-8").splitlines() if told.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
