"""The machine: interpreter, system, devices and their precisions, memory, disk, cache folder."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from pathlib import Path

from dar_bench.doctor.findings import Check
from dar_bench.download import OFFLINE_VARIABLE, offline
from dar_bench.paths import home

ENOUGH_DISK = 10 << 30
"""Bytes that weights, features and a run of 50,000 samples take comfortably."""

_AREA = "machine"


def examine_machine() -> list[Check]:
    """Look at everything that needs no optional package."""
    return [_interpreter(), _system(), *_devices(), _cache_folder(), _disk(), _network()]


def _interpreter() -> Check:
    return Check(
        area=_AREA,
        name="Python",
        state="ok",
        detail=f"{platform.python_version()} ({platform.python_implementation()})",
    )


def _system() -> Check:
    memory = ""
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = f", {os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB of memory"
    return Check(
        area=_AREA,
        name="system",
        state="ok",
        detail=f"{platform.system()} {platform.release()} on {platform.machine()}, {os.cpu_count()} CPUs{memory}",
    )


def _devices() -> list[Check]:
    try:
        import torch
    except (ImportError, OSError) as error:
        return [
            Check(
                area=_AREA,
                name="cpu",
                state="broken",
                detail=f"torch does not import: {error}",
                remedy="Install torch again; see https://pytorch.org for the build of this machine.",
            )
        ]
    found = [
        Check(
            area=_AREA,
            name="cpu",
            state="ok",
            detail=f"torch {torch.__version__}, {torch.get_num_threads()} threads, "
            f"{torch.backends.cpu.get_cpu_capability()}; float32, bfloat16",
        )
    ]
    if not torch.cuda.is_available():
        built = torch.version.cuda or torch.version.hip
        detail = "torch sees no GPU on this machine" if built else "this torch was built for the CPU alone"
        return [*found, Check(area=_AREA, name="gpu", state="absent", detail=detail)]
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        with torch.cuda.device(index):
            bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
        precisions = [
            "float32",
            *(["TF32"] if properties.major >= 8 else []),
            *(["bfloat16"] if bfloat16 else []),
        ]
        found.append(
            Check(
                area=_AREA,
                name="gpu" if index == 0 else f"gpu:{index}",
                state="ok",
                detail=f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB, compute "
                f"{properties.major}.{properties.minor}; {', '.join(precisions)}",
            )
        )
    return found


def _cache_folder() -> Check:
    folder = home()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Check(
            area=_AREA,
            name="cache folder",
            state="broken",
            detail=f"{folder} cannot be written to: {error.strerror or error}",
            remedy="Point DAR_BENCH_HOME at a folder that you may write to.",
        )
    return Check(area=_AREA, name="cache folder", state="ok", detail=str(folder))


def _disk() -> Check:
    place: Path = home()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    detail = f"{free / 2**30:.1f} GiB free for the cache folder"
    if free >= ENOUGH_DISK:
        return Check(area=_AREA, name="disk", state="ok", detail=detail)
    return Check(
        area=_AREA,
        name="disk",
        state="warning",
        detail=detail,
        remedy=f"Weights and samples want some {ENOUGH_DISK >> 30} GiB; free some or move DAR_BENCH_HOME.",
    )


def _network() -> Check:
    if offline():
        return Check(area=_AREA, name="downloads", state="absent", detail=f"off, by {OFFLINE_VARIABLE}")
    return Check(area=_AREA, name="downloads", state="ok", detail="allowed (not tried)")
