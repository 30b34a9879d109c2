"""LPIPS, the learned perceptual distance (Zhang et al. 2018, version 0.1), through the authors' package.

The package brings the learned weights of the layers but not the ImageNet network below them. That file is
looked for on this machine and checked. A measurement downloads nothing: without the file there is no number. A
training that names it fetches it, into the store and verified.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dar_bench.devices import exact_convolutions
from dar_bench.download import fetch_file
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
        self.weights_sha256, self._network = load_network(backbone, device)

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


def backbone_path(backbone: Backbone, *, fetch: bool = False) -> Path:
    """Return where the backbone's weights are on this machine.

    Args:
        fetch: download them into the store where they are not here.

    Raises:
        UserError: they are nowhere, cannot be had, or the file found is another one.
    """
    import torch

    filename, digits = _FILES[backbone]
    folders = (home() / "backbones", Path(torch.hub.get_dir()) / "checkpoints")
    path = next((folder / filename for folder in folders if (folder / filename).is_file()), None)
    address = f"{_ADDRESS}/{filename}"
    if path is None and fetch:
        path = folders[0] / filename
        fetch_file(address, path, remedy=f"Put {filename} into '{folders[0]}'.")
    if path is None:
        raise UserError(
            f"The {backbone} backbone of LPIPS is not on this machine.",
            why=f"{filename} is neither in '{folders[0]}' nor in '{folders[1]}'.",
            hint=f"Download {address} into one of them.",
        )
    found = sha256_file(path)
    if not found.startswith(digits):
        raise UserError(
            f"The LPIPS backbone '{path}' is not the published file.",
            why=f"Its sha256 begins with {found[:8]}, expected {digits}.",
            hint="Delete it and download it again.",
        )
    return path


def load_network(backbone: Backbone, device: str, *, fetch: bool = False) -> tuple[str, Any]:
    """Return the sha256 of the backbone's file and the network, frozen, on a device.

    The network takes two float (B, 3, H, W) batches in [-1, 1] and returns (B, 1, 1, 1); it is differentiable.

    Args:
        fetch: see ``backbone_path``.

    Raises:
        UserError: the package or the weights are not to be had.
    """
    if importlib.util.find_spec("lpips") is None:
        raise UserError(
            "The package lpips is not installed.", hint="Install it: pip install 'dar-bench[lpips]'."
        )
    path = backbone_path(backbone, fetch=fetch)
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
