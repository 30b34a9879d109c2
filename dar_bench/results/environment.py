"""What a measurement runs on: versions, device and precision, for its record."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from dar_bench.results.portable import platform_name
from dar_bench.results.record import Environment

# Packages whose version can change a number; those that are not installed are left out.
PACKAGES = ("dar-bench", "torch", "numpy", "scipy", "timm", "pillow", "torchvision", "safetensors", "lpips")


def current_environment(device: str, precision: str) -> Environment:
    """Describe this process.

    Args:
        device: the torch device string that the model runs on.
        precision: what the model computes in.
    """
    import torch

    on = torch.device(device)
    return Environment(
        device=torch.cuda.get_device_name(on) if on.type == "cuda" else on.type,
        precision=precision,
        threads=torch.get_num_threads(),
        python=platform.python_version(),
        platform=platform_name(),
        packages=_versions(PACKAGES),
    )


def _versions(names: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
