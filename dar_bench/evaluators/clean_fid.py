"""clean-fid's numbers in its three modes, from our weights.

    clean              Pillow's bicubic filter on float values, by the package's resizer
    legacy_tensorflow  TensorFlow 1's bilinear resizing, inside the network
    legacy_pytorch     torch's bilinear resizing, by the package's resizer, and the package's torch network

Two things stand in for pieces of the package. For ``clean`` and ``legacy_tensorflow`` it runs a TorchScript file
of the 2015 Inception network that it downloads without a check; here our own port of that network runs, with the
same weights. Its Frechet distance calls a form of SciPy's matrix root that is gone from SciPy 1.18; ours, which is
exact below full rank too, takes its place. The kernel distance is the package's own function.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from dar_bench.evaluators.base import Fingerprint, Side
from dar_bench.evaluators.scores import (
    check_sides,
    features_of,
    frechet_of,
    make_score,
    short_fingerprint,
    subset_error,
    untrusted_note,
)
from dar_bench.features.base import Features
from dar_bench.metrics.estimate import Estimate
from dar_bench.metrics.frechet import paired_frechet_estimate
from dar_bench.plugins import missing_module

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch

    from dar_bench.results.record import Score

NAME = "clean-fid"
RESIZE = {
    "clean": "pil-bicubic-299",
    "legacy_tensorflow": "tf1-bilinear-299",
    "legacy_pytorch": "torch-bilinear-299",
}
"""Modes of the package, and how images come to the network's size."""

SUBSETS = 100
SUBSET_SIZE = 1000
_CHUNK = 16


class CleanFidExtractor:
    """One mode's resizing and network.

    Args:
        device: torch device string. mode: one of ``RESIZE``.

    Raises:
        UserError: the package or the weights are missing.
    """

    def __init__(self, device: str, mode: str):
        import torch
        from safetensors.torch import load_file

        from dar_bench.features.inception_store import stored

        try:
            from cleanfid.resize import build_resizer
        except ModuleNotFoundError as error:
            raise missing_module("The evaluator clean-fid needs its package.", error) from error
        weights = stored()
        self.name = f"inception-2015-12-05[clean-fid:{mode}]"
        self.mode = mode
        self.trusted = weights.trusted
        self.device = torch.device(device)
        self.sha256 = weights.content_sha256
        self._resize: Callable[[Any], Any] = build_resizer(mode)
        state = load_file(weights.tensors)
        self._network = (
            _torch_network(state, self.device) if mode == "legacy_pytorch" else _port(state, self.device)
        )

    def fingerprint(self) -> str:
        """Return the weights' hash, the preprocessing and the package's version."""
        return (
            f"{self.name};sha256={self.sha256};uint8-rgb;{RESIZE[self.mode]};(x-128)/128;float32;"
            f"clean-fid-{version('clean-fid')}"
        )

    def extract(self, images: torch.Tensor) -> Features:
        """Return the pooled features of ``images``, uint8 (n, 3, H, W)."""
        import torch

        from dar_bench.devices import exact_convolutions

        pooled = []
        with torch.inference_mode(), exact_convolutions():
            for chunk in torch.split(images, _CHUNK):
                pooled.append(self._network(self.preprocess(chunk).to(self.device)).cpu())
        return Features(
            pool=torch.cat(pooled).numpy(),
            probabilities=None,
            extractor=self.name,
            fingerprint=self.fingerprint(),
        )

    def preprocess(self, images: torch.Tensor) -> torch.Tensor:
        """Return images as the package hands them to its network, float32 (n, 3, 299, 299) in 0 to 255."""
        import torch

        from dar_bench.nn.inception import resize_tf1

        if self.mode == "legacy_tensorflow":
            return resize_tf1(images.float())
        resized = [self._resize(image.permute(1, 2, 0).numpy()) for image in images]
        return torch.from_numpy(np.stack(resized).astype(np.float32)).permute(0, 3, 1, 2)


class CleanFidEvaluator:
    """FID and KID as clean-fid computes them.

    Args:
        device: torch device string. mode: one of ``RESIZE``.

    Raises:
        UserError: the package or the weights are missing.
    """

    def __init__(self, device: str = "cpu", mode: str = "clean"):
        self.name = NAME if mode == "clean" else f"{NAME}:{mode}"
        self.mode = mode
        self.extractor = CleanFidExtractor(device, mode)

    def fingerprint(self) -> Fingerprint:
        """Return the choices of the mode."""
        return Fingerprint(
            evaluator=f"{NAME}:{self.mode}",
            extractor=f"inception-2015-12-05@{self.extractor.sha256[:12]}",
            resize=RESIZE[self.mode],
            rounding="float",
            layer="pool_3",
            dtype="mean float32, covariance float64",
            trusted=self.extractor.trusted,
        )

    def score_generation(self, reference: Side, samples: Side, *, seed: int = 0) -> list[Score]:
        """Score samples against a reference; of statistics alone FID.

        Args:
            reference, samples: the sides.
            seed: of the subsets of the kernel distance, which the package draws without one.
        """
        check_sides(reference, samples, "reference", "samples")
        estimate, error = frechet_of(reference, samples)
        scores = [self._score("FID", estimate, f"frechet;float64;{error}")]
        if reference.features is not None and samples.features is not None:
            scores.append(self._kid(reference.features, samples.features, seed))
        return scores

    def score_reconstruction(self, originals: Side, reconstructions: Side) -> list[Score]:
        """Return rFID: the FID of both sets."""
        check_sides(originals, reconstructions, "originals", "reconstructions")
        before, after = features_of(originals, "originals"), features_of(reconstructions, "reconstructions")
        estimate = paired_frechet_estimate(before.pool, after.pool)
        return [self._score("rFID", estimate, "frechet;float64;stderr=infinitesimal-jackknife-pairs")]

    def _kid(self, reference: Features, samples: Features, seed: int) -> Score:
        from cleanfid.fid import kernel_distance

        size = min(SUBSET_SIZE, len(reference), len(samples))
        with _numpy_seed(seed):
            value = kernel_distance(reference.pool, samples.pool, SUBSETS, SUBSET_SIZE)
            # The package returns no deviation; a few subsets of one each tell it.
            single = [kernel_distance(reference.pool, samples.pool, 1, SUBSET_SIZE) for _ in range(20)]
        error = subset_error(float(np.std(single, ddof=1)), SUBSETS, size, min(len(reference), len(samples)))
        estimate = Estimate(value=value, stderr=error, n=len(samples))
        return self._score("KID", estimate, f"mmd;cubic;{SUBSETS}-subsets-of-{size};float32;stderr=subsets")

    def _score(self, metric: str, estimate: Estimate, protocol: str) -> Score:
        extractor = short_fingerprint(self.extractor.name, self.extractor.fingerprint())
        return make_score(
            f"{metric}[clean-fid:{self.mode}]",
            estimate,
            f"{NAME}/1;{protocol};{extractor}",
            note=untrusted_note(self.extractor.trusted),
        )


def legacy_tensorflow(device: str) -> CleanFidEvaluator:
    """Return the evaluator of the mode ``legacy_tensorflow``."""
    return CleanFidEvaluator(device, "legacy_tensorflow")


def legacy_pytorch(device: str) -> CleanFidEvaluator:
    """Return the evaluator of the mode ``legacy_pytorch``."""
    return CleanFidEvaluator(device, "legacy_pytorch")


def _port(state: Mapping[str, torch.Tensor], device: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return our port of the network: resized images to pooled features."""
    from dar_bench.nn.inception import Inception

    network = Inception(state).to(device)

    def run(images: torch.Tensor) -> torch.Tensor:
        pooled: torch.Tensor = network(images)[0]
        return pooled

    return run


def _torch_network(
    state: Mapping[str, torch.Tensor], device: torch.device
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the package's own torch network with our weights in place of its download."""
    from cleanfid import inception_pytorch

    download = inception_pytorch.load_state_dict_from_url
    inception_pytorch.load_state_dict_from_url = lambda *arguments, **keywords: dict(state)
    try:
        network: Any = inception_pytorch.InceptionV3(output_blocks=[3], resize_input=False)
    finally:
        inception_pytorch.load_state_dict_from_url = download
    network = network.to(device).eval()

    def run(images: torch.Tensor) -> torch.Tensor:
        pooled: torch.Tensor = network(images / 255)[0].flatten(1)
        return pooled

    return run


@contextmanager
def _numpy_seed(seed: int) -> Iterator[None]:
    """Seed NumPy's global generator, which the package draws from, and leave it as it was."""
    before = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before)
