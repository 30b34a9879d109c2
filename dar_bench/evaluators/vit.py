"""Scores on the features of vision transformers: FD-DINOv2, FD-CLIP and CMMD, each by its published protocol."""

from __future__ import annotations

from dar_bench.evaluators.base import Fingerprint, Side
from dar_bench.evaluators.scores import check_sides, features_of, make_score, short_fingerprint
from dar_bench.features.base import Extractor, Features, FloatArray
from dar_bench.features.names import load_extractor
from dar_bench.metrics.estimate import Estimate
from dar_bench.metrics.frechet import Vectors, frechet_estimate, paired_frechet_estimate
from dar_bench.metrics.gaussian_kernel import SCALE, SIGMA, gaussian_mmd
from dar_bench.results.record import Score

UNVERIFIED = "The weights are not known to be the published ones."


class _VitEvaluator:
    """One score on one extractor's features."""

    name: str
    extractor_name: str
    metric: str
    generation_protocol: str
    reconstruction_protocol: str

    def __init__(self, device: str = "cpu"):
        self.extractor: Extractor = load_extractor(self.extractor_name, device)

    def fingerprint(self) -> Fingerprint:
        """Return the choices of the protocol."""
        steps = self.extractor.fingerprint().split(";")
        return Fingerprint(
            evaluator=self.name,
            extractor=short_fingerprint(self.extractor.name, self.extractor.fingerprint()),
            resize=steps[2],
            rounding="uint8" if steps[2].startswith("pil") else "float",
            layer="embedding",
            dtype="float64",
            trusted=self._trusted(),
        )

    def score_generation(self, reference: Side, samples: Side, *, seed: int = 0) -> list[Score]:
        """Score samples against a reference; the error takes the reference as given.

        Args:
            reference: the data. samples: the generated images. seed: not used, there is no random choice.

        Raises:
            UserError: too few images, values that are not finite, or features of different extractors.
        """
        check_sides(reference, samples, "reference", "samples")
        drawn = features_of(samples, "samples")
        estimate = self._generation(reference, drawn.pool)
        return [self._score(self.metric, drawn, estimate, self.generation_protocol)]

    def score_reconstruction(self, originals: Side, reconstructions: Side) -> list[Score]:
        """Score reconstructions against their originals.

        Raises:
            UserError: too few images, counts that differ, or features of different extractors.
        """
        check_sides(originals, reconstructions, "originals", "reconstructions")
        before, after = features_of(originals, "originals"), features_of(reconstructions, "reconstructions")
        estimate = self._reconstruction(before.pool, after.pool)
        return [self._score(f"r{self.metric}", after, estimate, self.reconstruction_protocol)]

    def _generation(self, reference: Side, samples: FloatArray) -> Estimate:
        raise NotImplementedError

    def _reconstruction(self, originals: FloatArray, reconstructions: FloatArray) -> Estimate:
        raise NotImplementedError

    def _trusted(self) -> bool:
        return bool(getattr(self.extractor, "published", True))

    def _score(self, metric: str, features: Features, estimate: Estimate, protocol: str) -> Score:
        extractor = short_fingerprint(features.extractor, features.fingerprint)
        return make_score(
            f"{metric}[{features.extractor}]",
            estimate,
            f"{self.name}/1;{protocol};{extractor}",
            note="" if self._trusted() else UNVERIFIED,
        )


class _FrechetEvaluator(_VitEvaluator):
    metric = "FD"
    generation_protocol = "frechet;float64;n-1;stderr=infinitesimal-jackknife-samples"
    reconstruction_protocol = "frechet;float64;n-1;stderr=infinitesimal-jackknife-pairs"

    def _generation(self, reference: Side, samples: FloatArray) -> Estimate:
        known: Vectors | None = reference.statistics.get("pool")
        return frechet_estimate(features_of(reference, "reference").pool if known is None else known, samples)

    def _reconstruction(self, originals: FloatArray, reconstructions: FloatArray) -> Estimate:
        return paired_frechet_estimate(originals, reconstructions)


class FdDinov2(_FrechetEvaluator):
    """FD-DINOv2 (Stein et al. 2023): Frechet distance of DINOv2 ViT-L/14 class tokens."""

    name = "fd-dinov2"
    extractor_name = "dinov2-vitl14"


class FdClip(_FrechetEvaluator):
    """FD-CLIP (Kynkaanniemi et al. 2023): Frechet distance of CLIP ViT-B/32 image embeddings."""

    name = "fd-clip"
    extractor_name = "clip-vitb32"


class Cmmd(_VitEvaluator):
    """CMMD (Jayasumana et al. 2024): Gaussian-kernel discrepancy of CLIP ViT-L/14 embeddings at 336 pixels."""

    name = "cmmd"
    extractor_name = "clip-vitl14-336"
    metric = "CMMD"
    generation_protocol = f"mmd;gaussian;sigma={SIGMA:g};x{SCALE:g};biased;float64;stderr=influence-samples"
    reconstruction_protocol = generation_protocol

    def _generation(self, reference: Side, samples: FloatArray) -> Estimate:
        return gaussian_mmd(features_of(reference, "reference").pool, samples)

    def _reconstruction(self, originals: FloatArray, reconstructions: FloatArray) -> Estimate:
        return gaussian_mmd(originals, reconstructions)
