"""torch-fidelity's numbers, by its own network code and its own functions, from our weights and features.

The package's pieces are called where they work on current NumPy; what is left out is what does not: its cache,
which is keyed by a name that the user gives and returns another set's numbers under a reused one, and its
generators, which use a NumPy type that is gone.

    FID               fid_statistics_to_metric   (eigenvalues of the product; the file of statistics may be ADM's)
    IS                isc_features_to_metric     (10 splits, shuffled)
    KID               kid_features_to_metric     (100 subsets of 1,000)
    precision, recall prc_features_to_metric     (k = 3, on the Inception features)

Standard errors are ours; the package reports deviations over splits and subsets, which shrink with no sample size.
"""

from __future__ import annotations

import math
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dar_bench.evaluators.base import Fingerprint, Side
from dar_bench.evaluators.scores import (
    check_sides,
    features_of,
    make_score,
    short_fingerprint,
    subset_error,
    untrusted_note,
)
from dar_bench.features.base import Features
from dar_bench.metrics.estimate import Estimate, proportion_estimate
from dar_bench.metrics.frechet import frechet_estimate, paired_frechet_estimate
from dar_bench.plugins import missing_module

if TYPE_CHECKING:
    import torch

    from dar_bench.results.record import Score

NAME = "torch-fidelity"
RNG_SEED = 2020
"""The package's own default; the run's seed is added."""

SPLITS = 10
SUBSETS = 100
SUBSET_SIZE = 1000
NEIGHBOURS = 3
LAYER = "2048"

_CPU_CHUNK = 16
_GPU_CHUNK = 128


class TorchFidelityExtractor:
    """The package's Inception network with the weights of the store.

    Args:
        device: torch device string.

    Raises:
        UserError: the package or the weights are missing.
    """

    name = "inception-2015-12-05[torch-fidelity]"

    def __init__(self, device: str = "cpu"):
        import torch
        from safetensors.torch import load_file

        from dar_bench.features.inception_store import stored

        try:
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        except ModuleNotFoundError as error:
            raise missing_module("The evaluator torch-fidelity needs its package.", error) from error
        weights = stored()
        self.trusted = weights.trusted
        self.device = torch.device(device)
        self.sha256 = weights.content_sha256
        with tempfile.TemporaryDirectory() as folder:
            # The package reads a pickle, which it may: we have just written it.
            path = Path(folder) / "weights.pth"
            torch.save(load_file(weights.tensors), path)
            network = FeatureExtractorInceptionV3(NAME, [LAYER], feature_extractor_weights_path=str(path))
        self.network: Any = network.to(self.device)

    def fingerprint(self) -> str:
        """Return the weights' hash, the preprocessing and the package's version."""
        return (
            f"{self.name};sha256={self.sha256};uint8-rgb;tf1-bilinear-299;(x-128)/128;float32;"
            f"torch-fidelity-{version('torch-fidelity')}"
        )

    def extract(self, images: torch.Tensor) -> Features:
        """Return the pooled features of ``images``, uint8 (n, 3, H, W)."""
        import torch

        from dar_bench.devices import exact_convolutions

        size = _CPU_CHUNK if self.device.type == "cpu" else _GPU_CHUNK
        with torch.inference_mode(), exact_convolutions():
            pooled = [self.network(chunk.to(self.device))[0].cpu() for chunk in torch.split(images, size)]
        return Features(
            pool=torch.cat(pooled).numpy(),
            probabilities=None,
            extractor=self.name,
            fingerprint=self.fingerprint(),
        )

    def logits(self, features: Features) -> torch.Tensor:
        """Return the unbiased class scores (n, 1008) that the package takes the inception score from."""
        import torch

        weight = self.network.fc.weight.cpu()
        return torch.from_numpy(features.pool).mm(weight.T)


class TorchFidelityEvaluator:
    """FID, inception score, KID, precision and recall as torch-fidelity computes them.

    Args:
        device: torch device string.

    Raises:
        UserError: the package or the weights are missing.
    """

    def __init__(self, device: str = "cpu"):
        self.name = NAME
        self.extractor = TorchFidelityExtractor(device)

    def fingerprint(self) -> Fingerprint:
        """Return the choices that the package makes by default."""
        return Fingerprint(
            evaluator=self.name,
            extractor=f"inception-2015-12-05@{self.extractor.sha256[:12]}",
            resize="tf1-bilinear-299",
            rounding="float",
            layer="pool_3",
            neighbours=f"k={NEIGHBOURS};euclidean<=;float32",
            splits=f"{SPLITS}-shuffled",
            dtype="mean float32, covariance float64",
            trusted=self.extractor.trusted,
        )

    def score_generation(self, reference: Side, samples: Side, *, seed: int = 0) -> list[Score]:
        """Score samples against a reference; of statistics alone FID and IS.

        Args:
            reference, samples: the sides.
            seed: added to the package's own seed of its shuffles and subsets.
        """
        check_sides(reference, samples, "reference", "samples")
        drawn = features_of(samples, "samples")
        scores = [self._fid(reference, drawn), self._inception(drawn, seed)]
        if reference.features is not None:
            scores.append(self._kid(reference.features, drawn, seed))
            scores += self._precision_recall(reference.features, drawn)
        return scores

    def score_reconstruction(self, originals: Side, reconstructions: Side) -> list[Score]:
        """Return rFID: the package's FID of both sets."""
        check_sides(originals, reconstructions, "originals", "reconstructions")
        before, after = features_of(originals, "originals"), features_of(reconstructions, "reconstructions")
        error = paired_frechet_estimate(before.pool, after.pool)
        value = _frechet(_statistics(before), _statistics(after))
        estimate = Estimate(value=value, stderr=error.stderr, n=error.n)
        return [self._score("rFID", estimate, "frechet;eigvals;stderr=infinitesimal-jackknife-pairs")]

    def _fid(self, reference: Side, samples: Features) -> Score:
        known = reference.statistics.get("pool")
        if known is None:
            vectors = features_of(reference, "reference")
            error, one = frechet_estimate(vectors.pool, samples.pool), _statistics(vectors)
        else:
            # The package wants means of one type, and its own are float32.
            one = {"mu": known.mean.astype(np.float32), "sigma": known.covariance}
            error = frechet_estimate(known, samples.pool)
        estimate = Estimate(value=_frechet(one, _statistics(samples)), stderr=error.stderr, n=error.n)
        return self._score("FID", estimate, "frechet;eigvals;stderr=infinitesimal-jackknife-samples")

    def _inception(self, samples: Features, seed: int) -> Score:
        from torch_fidelity.metric_isc import isc_features_to_metric

        found = isc_features_to_metric(self.extractor.logits(samples), SPLITS, True, RNG_SEED + seed)
        # The deviation is over the splits, divisor their number; the error is that of their mean.
        error = found["inception_score_std"] / math.sqrt(SPLITS - 1)
        estimate = Estimate(value=found["inception_score_mean"], stderr=error, n=len(samples))
        return self._score("IS", estimate, f"inception;{SPLITS}-splits-shuffled;float64;stderr=splits")

    def _kid(self, reference: Features, samples: Features, seed: int) -> Score:
        import torch
        from torch_fidelity.metric_kid import kid_features_to_metric

        size = min(SUBSET_SIZE, len(reference), len(samples))
        found = kid_features_to_metric(
            torch.from_numpy(samples.pool),
            torch.from_numpy(reference.pool),
            kid_subsets=SUBSETS,
            kid_subset_size=size,
            rng_seed=RNG_SEED + seed,
            verbose=False,
        )
        deviation = found["kernel_inception_distance_std"]
        estimate = Estimate(
            value=found["kernel_inception_distance_mean"],
            stderr=subset_error(deviation, SUBSETS, size, min(len(reference), len(samples))),
            n=len(samples),
        )
        return self._score("KID", estimate, f"mmd;cubic;{SUBSETS}-subsets-of-{size};float32;stderr=subsets")

    def _precision_recall(self, reference: Features, samples: Features) -> list[Score]:
        import torch
        from torch_fidelity.metric_prc import prc_features_to_metric

        found = prc_features_to_metric(
            torch.from_numpy(samples.pool),
            torch.from_numpy(reference.pool),
            prc_neighborhood=NEIGHBOURS,
            prc_batch_size=10000,
            save_cpu_ram=True,
            verbose=False,
        )
        rules = f"k={NEIGHBOURS};euclidean<=;float32"
        return [
            self._score(name, _share(found[name], count), f"{name};{rules}")
            for name, count in (("precision", len(samples)), ("recall", len(reference)))
        ]

    def _score(self, name: str, estimate: Estimate, protocol: str) -> Score:
        extractor = short_fingerprint(self.extractor.name, self.extractor.fingerprint())
        note = untrusted_note(self.extractor.trusted)
        return make_score(name, estimate, f"{NAME}/1;{protocol};{extractor}", note=note)


def _statistics(features: Features) -> dict[str, Any]:
    import torch
    from torch_fidelity.metric_fid import fid_features_to_statistics

    found: dict[str, Any] = fid_features_to_statistics(torch.from_numpy(features.pool))
    return found


def _frechet(one: dict[str, Any], other: dict[str, Any]) -> float:
    from torch_fidelity.metric_fid import fid_statistics_to_metric

    return float(fid_statistics_to_metric(one, other, False)["frechet_inception_distance"])


def _share(value: float, count: int) -> Estimate:
    """Return a share of ``count`` with its binomial error; the value itself stays the package's float32."""
    counted = proportion_estimate(np.arange(count) < round(value * count))
    return Estimate(value=value, stderr=counted.stderr, n=count, interval=counted.interval)
