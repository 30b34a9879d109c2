"""LPIPS, the learned perceptual distance (Zhang et al. 2018, version 0.1), through the authors' package.

The package brings the learned weights of the layers but not the ImageNet network below them. That file is
looked for on this machine and checked; nothing is downloaded here, and without it there is no number.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dar_bench.devices import exact_convolutions
from dar_bench.errors import UserError
from dar_bench.hashing import sha256_file
from dar_bench.metrics.estimate import Float64Array
from dar_bench.metrics.reconstruction import Images, check_pairs
from dar_bench.paths import home

if TYPE_CHECKING:
    import torch

Backbone = Literal["alex", "vgg"]

# Torchvision's file of each backbone; the digits are the beginning of its sha256.
_FILES: Mapping[str, tuple[str, str]] = {
    "alex": ("alexnet-owt-7be5be79.pth", "7be5be79"),
    "vgg": ("vgg16-397923af.pth", "397923af"),
}
_ADDRESS = "https://download.pytorch.org/models"
_CHUNK = 16


class Lpips:
    """The distance with one backbone. Smaller is nearer; 0 for identical images.

    Args:
        backbone: ``alex``, which the authors advise for evaluation, or ``vgg``, which is used for training.
        device: torch device string.

    Raises:
        UserError: the package or the backbone's weights are missing, or the weights are not the published
        ones.
    """

    def __init__(self, backbone: Backbone = "alex", device: str = "cpu"):
        self.backbone = backbone
        self.device = device
        self.weights_sha256, self._network = _load(backbone, device)

    def distances(self, originals: Images, reconstructions: Images) -> Float64Array:
        """Return the distance of every pair, (n,).

        Args:
            originals, reconstructions: uint8 (n, 3, H, W), row i of both the same image.

        Raises:
            UserError: other shapes or types.
        """
        import torch

        check_pairs(originals, reconstructions)
        found = []
        with torch.inference_mode(), exact_convolutions():
            for start in range(0, len(originals), _CHUNK):
                rows = slice(start, start + _CHUNK)
                pair = (self._pixels(originals[rows]), self._pixels(reconstructions[rows]))
                found.append(self._network(*pair).reshape(-1).double().cpu().numpy())
        return np.concatenate(found) if found else np.empty(0)

    def _pixels(self, images: Images) -> torch.Tensor:
        import torch

        # LPIPS takes values in [-1, 1].
        return torch.from_numpy(np.ascontiguousarray(images)).to(self.device).float() / 127.5 - 1.0


def backbone_path(backbone: Backbone) -> Path:
    """Return where the backbone's weights are on this machine.

    Raises:
        UserError: they are nowhere, or the file found is another one.
    """
    import torch

    filename, digits = _FILES[backbone]
    folders = (home() / "backbones", Path(torch.hub.get_dir()) / "checkpoints")
    for folder in folders:
        path = folder / filename
        if not path.is_file():
            continue
        found = sha256_file(path)
        if not found.startswith(digits):
            raise UserError(
                f"The LPIPS backbone '{path}' is not the published file.",
                why=f"Its sha256 begins with {found[:8]}, expected {digits}.",
                hint="Delete it and download it again.",
            )
        return path
    raise UserError(
        f"The {backbone} backbone of LPIPS is not on this machine.",
        why=f"{filename} is neither in '{folders[0]}' nor in '{folders[1]}'.",
        hint=f"Download {_ADDRESS}/{filename} into one of them.",
    )


def _load(backbone: Backbone, device: str) -> tuple[str, Any]:
    if importlib.util.find_spec("lpips") is None:
        raise UserError(
            "The package lpips is not installed.", hint="Install it: pip install 'dar-bench[lpips]'."
        )
    path = backbone_path(backbone)
    import lpips
    import torch

    with warnings.catch_warnings():
        # The package calls torchvision by arguments that are deprecated there.
        warnings.simplefilter("ignore", UserWarning)
        network: Any = lpips.LPIPS(net=backbone, pnet_rand=True, verbose=False)
    state = torch.load(path, map_location="cpu", weights_only=True)
    prefix = "features."
    trunk = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    # The package cuts the trunk into slices and keeps torchvision's layer numbers inside them.
    names = {key: key.split(".", 1)[1] for key in network.net.state_dict()}
    missing = sorted(set(names.values()) - set(trunk))
    if missing:
        raise UserError(f"The LPIPS backbone '{path}' lacks the weights {', '.join(missing[:3])}.")
    network.net.load_state_dict({key: trunk[name] for key, name in names.items()}, strict=True)
    return sha256_file(path), network.to(device).eval().requires_grad_(False)
