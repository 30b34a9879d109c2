"""Scores of image pairs that need no extractor: PSNR, SSIM and, where it can be had, LPIPS.

They belong to every evaluator's reconstruction record and are the same in all of them, so their protocol
strings do not depend on who else scored.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from dar_bench.errors import UserError
from dar_bench.evaluators.scores import make_score
from dar_bench.metrics.estimate import Float64Array, mean_estimate
from dar_bench.metrics.lpips import Lpips
from dar_bench.metrics.reconstruction import Images, check_pairs, highest_psnr, psnr, ssim
from dar_bench.results.record import Score

PROTOCOL = "embedded/1"
"""First part of the protocol strings: records that were made when only one evaluator existed stay comparable."""


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

    def arrays(self) -> dict[str, Float64Array]:
        """Return what was gathered, one float64 (n,) per quantity, to be kept and taken in again."""
        found = {"psnr": self._psnr, "ssim": self._ssim, "lpips": self._distances}
        highest = {"highest": np.full(len(self), self._highest)}
        return {name: np.concatenate(parts) for name, parts in found.items() if parts} | highest

    def take(self, arrays: Mapping[str, Float64Array]) -> None:
        """Take in what another scorer of the same LPIPS gathered (``arrays``)."""
        self._psnr.append(arrays["psnr"])
        self._ssim.append(arrays["ssim"])
        self._distances += [arrays["lpips"]] if self._lpips is not None else []
        self._highest = min(self._highest, float(arrays["highest"].min()))

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
            make_score("PSNR", mean_estimate(decibels), f"{PROTOCOL};psnr;{mean}", note=note),
            make_score("SSIM", mean_estimate(np.concatenate(self._ssim)), f"{PROTOCOL};{similarity}"),
        ]
        if self._lpips is not None:
            network = (
                f"lpips-0.1;{self._lpips.backbone};sha256={self._lpips.weights_sha256[:12]};mean-of-images"
            )
            distances = mean_estimate(np.concatenate(self._distances))
            found.append(make_score(f"LPIPS[{self._lpips.backbone}]", distances, f"{PROTOCOL};{network}"))
        return found


def optional_lpips(device: str = "cpu") -> tuple[Lpips | None, dict[str, str]]:
    """Return LPIPS, or ``None`` and the reason under the score's name, for ``Record.unavailable``."""
    try:
        return Lpips("alex", device), {}
    except UserError as error:
        return None, {"LPIPS[alex]": str(error)}
