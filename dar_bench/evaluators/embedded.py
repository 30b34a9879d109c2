"""The embedded protocol: scores that can be measured offline, on the features of ``efficientnet-lite0``.

Its names carry the extractor (``FD[efficientnet-lite0]``) and never read FID: the numbers of another network
are another quantity. The rules: float64 statistics, both sets through the same extractor and preprocessing,
standard errors with every score. An extractor of a plugin is used in the same way, under its own name.
"""

from __future__ import annotations

import math

import numpy as np

from dar_bench.errors import UserError
from dar_bench.features.base import Features
from dar_bench.hashing import sha256_bytes
from dar_bench.metrics.estimate import Estimate, Float64Array, mean_estimate
from dar_bench.metrics.frechet import frechet_estimate, paired_frechet_estimate
from dar_bench.metrics.inception_score import ADM_SPLIT, inception_score
from dar_bench.metrics.kernel import BLOCKS, kernel_distance
from dar_bench.metrics.lpips import Lpips
from dar_bench.metrics.precision_recall import DENSITY_K, PRECISION_K, manifold_scores
from dar_bench.metrics.reconstruction import Images, check_pairs, highest_psnr, psnr, ssim
from dar_bench.results.record import Score

NAME = "embedded"
MINIMUM = 16
"""Fewest images on either side. Scores of so few mean little; the limit keeps every formula defined."""

_JACKKNIFE = "stderr=infinitesimal-jackknife"


def score_generation(reference: Features, samples: Features, *, seed: int = 0) -> list[Score]:
    """Score generated images against a reference set.

    Args:
        reference: features of the data. samples: features of the generated images, in the order in which they
        were generated (the inception score's
            splits follow it).
        seed: of the kernel distance's blocks, which give its standard error.

    Returns:
        FD, KD, IS (where the extractor has class probabilities; with more than one split also the order-free
        one), precision, recall, density and coverage. Standard errors of FD, IS, precision and density take
        the reference as given; recall and coverage take the samples' balls as given; that of KD covers both
        sets.

    Raises:
        UserError: too few images, values that are not finite, or features of different extractors.
    """
    _check_sets(reference, samples, "reference", "samples")
    extractor = _protocol_of_extractor(samples)
    fd = frechet_estimate(reference.pool, samples.pool)
    kd = kernel_distance(reference.pool, samples.pool, seed=seed)
    manifolds = manifold_scores(reference.pool, samples.pool)
    nearest = f"k={PRECISION_K};squared<=;float32;{extractor}"
    nearest_density = f"k={DENSITY_K};squared<=;float32;{extractor}"

    def score(metric: str, estimate: Estimate, protocol: str) -> Score:
        return _score(f"{metric}[{samples.extractor}]", estimate, protocol)

    scores = [
        score("FD", fd, f"frechet;float64;n-1;{_JACKKNIFE}-samples;{extractor}"),
        score("KD", kd, f"mmd;cubic;unbiased;all-pairs;float64;stderr={BLOCKS}-blocks-both;{extractor}"),
    ]
    if samples.probabilities is not None:
        inception = inception_score(samples.probabilities)
        splits = f"float64;stderr=influence;{extractor}"
        scores.append(score("IS", inception.split, f"inception;splits-of-{ADM_SPLIT}-in-order;{splits}"))
        if len(inception.split_scores) > 1:
            scores.append(score("IS-one-split", inception.order_free, f"inception;one-split;{splits}"))
    return [
        *scores,
        score("precision", manifolds.precision, f"precision;{nearest}"),
        score("recall", manifolds.recall, f"recall;{nearest}"),
        score("density", manifolds.density, f"density;{nearest_density}"),
        score("coverage", manifolds.coverage, f"coverage;{nearest_density}"),
    ]


class PairScorer:
    """Gathers the pixel scores of a stream of image pairs, so that the images need not be kept.

    Args:
        lpips: the perceptual distance, where it is available.
    """

    def __init__(self, lpips: Lpips | None = None):
        self._lpips = lpips
        self._psnr: list[Float64Array] = []
        self._ssim: list[Float64Array] = []
        self._distances: list[Float64Array] = []
        self._highest = math.inf

    def add(self, originals: Images, reconstructions: Images) -> None:
        """Take a batch of pairs, uint8 (b, 3, H, W) each.

        Raises:
            UserError: not pairs of 8-bit images.
        """
        check_pairs(originals, reconstructions)
        self._highest = min(self._highest, highest_psnr(originals.shape[1:]))
        self._psnr.append(psnr(originals, reconstructions))
        self._ssim.append(ssim(originals, reconstructions))
        if self._lpips is not None:
            self._distances.append(self._lpips.distances(originals, reconstructions))

    def __len__(self) -> int:
        return sum(len(part) for part in self._psnr)

    def scores(self) -> list[Score]:
        """Return PSNR, SSIM and, where it is available, LPIPS: means over the pairs.

        Raises:
            UserError: fewer than two pairs.
        """
        if len(self) < 2:
            raise UserError(f"Too few images: {len(self)} pairs, at least 2 are needed.")
        decibels = np.concatenate(self._psnr)
        identical = int(np.count_nonzero(np.isinf(decibels)))
        note = ""
        if identical:
            decibels = decibels.clip(max=self._highest)
            note = (
                f"{identical} of {len(self)} pairs are identical and count as {self._highest:.1f} dB, "
                "one level in one value."
            )
        mean = "uint8;range-255;mean-of-images"
        similarity = "ssim;gaussian-11-1.5;per-channel;valid;" + mean
        found = [
            _score("PSNR", mean_estimate(decibels), f"psnr;{mean}", note=note),
            _score("SSIM", mean_estimate(np.concatenate(self._ssim)), similarity),
        ]
        if self._lpips is not None:
            network = (
                f"lpips-0.1;{self._lpips.backbone};sha256={self._lpips.weights_sha256[:12]};mean-of-images"
            )
            name = f"LPIPS[{self._lpips.backbone}]"
            found.append(_score(name, mean_estimate(np.concatenate(self._distances)), network))
        return found


def score_reconstruction(
    originals: Images,
    reconstructions: Images,
    original_features: Features,
    reconstruction_features: Features,
    *,
    lpips: Lpips | None = None,
) -> list[Score]:
    """Score reconstructions against their originals: ``score_pairs`` for images that are all at hand.

    Args:
        originals, reconstructions: uint8 (n, 3, H, W), row i of both the same image.
        original_features, reconstruction_features: their features, in the same order.
        lpips: the perceptual distance, where it is available (``optional_lpips``).
    """
    pairs = PairScorer(lpips)
    pairs.add(originals, reconstructions)
    return score_pairs(pairs, original_features, reconstruction_features)


def score_pairs(pairs: PairScorer, originals: Features, reconstructions: Features) -> list[Score]:
    """Score reconstructions against their originals.

    Args:
        pairs: has been given every pair.
        originals, reconstructions: features, row i of both of the same image.

    Returns:
        rFD on the extractor's features, PSNR, SSIM and, where it is available, LPIPS.

    Raises:
        UserError: too few images, counts that differ, values that are not finite, or different extractors.
    """
    _check_sets(originals, reconstructions, "originals", "reconstructions")
    if not len(pairs) == len(originals) == len(reconstructions):
        raise UserError(
            f"There are {len(originals)} originals, {len(reconstructions)} reconstructions and {len(pairs)} "
            "compared pairs.",
            why="Row i of all must be the same image.",
        )
    estimate = paired_frechet_estimate(originals.pool, reconstructions.pool)
    protocol = f"frechet;float64;n-1;{_JACKKNIFE}-pairs;{_protocol_of_extractor(originals)}"
    return [_score(f"rFD[{originals.extractor}]", estimate, protocol), *pairs.scores()]


def optional_lpips(device: str = "cpu") -> tuple[Lpips | None, dict[str, str]]:
    """Return LPIPS, or ``None`` and the reason under the score's name, for ``Record.unavailable``."""
    try:
        return Lpips("alex", device), {}
    except UserError as error:
        return None, {"LPIPS[alex]": str(error)}


def _score(name: str, estimate: Estimate, protocol: str, *, note: str = "") -> Score:
    return Score(
        name=name,
        value=estimate.value,
        stderr=estimate.stderr,
        interval=estimate.interval,
        n=estimate.n,
        protocol=f"{NAME}/1;{protocol}",
        note=note,
    )


def _protocol_of_extractor(features: Features) -> str:
    """Return the extractor's name with the beginning of its fingerprint's hash."""
    return f"{features.extractor}@{sha256_bytes(features.fingerprint.encode())[:12]}"


def _check_sets(first: Features, second: Features, one: str, other: str) -> None:
    if first.fingerprint != second.fingerprint:
        raise UserError(
            f"The {one} and the {other} were not measured by the same extractor.",
            why=f"Found '{first.fingerprint}' and '{second.fingerprint}'.",
            hint="Extract both with the same extractor.",
        )
    if min(len(first), len(second)) < MINIMUM:
        raise UserError(
            f"Too few images: {len(first)} {one} and {len(second)} {other}.",
            why=f"At least {MINIMUM} of each are needed.",
            hint="Use more images; scores settle only with thousands.",
        )
