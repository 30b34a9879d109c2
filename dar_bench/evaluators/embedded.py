"""The embedded protocol: scores that can be measured offline, on the features of ``efficientnet-lite0``.

Its names carry the extractor (``FD[efficientnet-lite0]``) and never read FID: the numbers of another network
are another quantity. The rules: float64 statistics, both sets through the same extractor and preprocessing,
standard errors with every score. Any other extractor is used in the same way, under its own name:
``embedded:NAME``.
"""

from __future__ import annotations

from dar_bench.evaluators.base import Fingerprint, Side
from dar_bench.evaluators.scores import check_sides, features_of, frechet_of, make_score, short_fingerprint
from dar_bench.features.base import Extractor, Features
from dar_bench.features.names import load_extractor
from dar_bench.metrics.estimate import Estimate
from dar_bench.metrics.frechet import paired_frechet_estimate
from dar_bench.metrics.inception_score import ADM_SPLIT, inception_score
from dar_bench.metrics.kernel import BLOCKS, kernel_distance
from dar_bench.metrics.precision_recall import DENSITY_K, PRECISION_K, manifold_scores
from dar_bench.results.record import Score

NAME = "embedded"


class EmbeddedEvaluator:
    """Distances, inception score and manifold scores on one extractor's features.

    Args:
        device: torch device string.
        extractor: an extractor's name; the embedded one without.

    Raises:
        UserError: the extractor is unknown, or its weights cannot be had.
    """

    def __init__(self, device: str = "cpu", extractor: str = ""):
        self.name = f"{NAME}:{extractor}" if extractor else NAME
        self.extractor: Extractor = (
            load_extractor(extractor, device) if extractor else load_extractor(device=device)
        )

    def fingerprint(self) -> Fingerprint:
        """Return the choices of the protocol; what the extractor does to images is told in its own words."""
        parts = self.extractor.fingerprint().split(";")
        preprocessing = [part for part in parts[1:] if not part.startswith("sha256=")]
        return Fingerprint(
            evaluator=self.name,
            extractor=short_fingerprint(self.extractor.name, self.extractor.fingerprint()),
            resize=";".join(preprocessing),
            rounding="float",
            layer="pool",
            neighbours=f"k={PRECISION_K};squared<=;float32",
            splits=f"{ADM_SPLIT}-in-order",
            dtype="float64",
        )

    def score_generation(self, reference: Side, samples: Side, *, seed: int = 0) -> list[Score]:
        """Score generated images against a reference set.

        Args:
            reference: the data; of statistics alone only FD is scored.
            samples: the generated images, in the order in which they were generated (the inception score's
                splits follow it); of statistics alone, again only FD is scored.
            seed: of the kernel distance's blocks, which give its standard error.

        Returns:
            FD, KD, IS (where the extractor has class probabilities; with more than one split also the
            order-free one), precision, recall, density and coverage. Standard errors of FD, IS, precision and
            density take the reference as given; those of recall, coverage and KD cover both sets.

        Raises:
            UserError: too few images, values that are not finite, or features of different extractors.
        """
        check_sides(reference, samples, "reference", "samples")
        distance, error = frechet_of(reference, samples)
        scores = [self._score("FD", distance, f"frechet;float64;n-1;{error}")]
        if samples.features is None:
            return scores
        return [
            *scores,
            *self._kernel(reference.features, samples.features, seed),
            *self._inception(samples.features),
            *self._manifolds(reference.features, samples.features),
        ]

    def score_reconstruction(self, originals: Side, reconstructions: Side) -> list[Score]:
        """Score reconstructions against their originals: rFD on the extractor's features.

        Raises:
            UserError: too few images, counts that differ, values that are not finite, or different
                extractors.
        """
        check_sides(originals, reconstructions, "originals", "reconstructions")
        before = features_of(originals, "originals")
        after = features_of(reconstructions, "reconstructions")
        estimate = paired_frechet_estimate(before.pool, after.pool)
        return [self._score("rFD", estimate, "frechet;float64;n-1;stderr=infinitesimal-jackknife-pairs")]

    def _kernel(self, reference: Features | None, samples: Features, seed: int) -> list[Score]:
        if reference is None:
            return []
        estimate = kernel_distance(reference.pool, samples.pool, seed=seed)
        protocol = f"mmd;cubic;unbiased;all-pairs;float64;stderr={BLOCKS}-blocks-both"
        return [self._score("KD", estimate, protocol)]

    def _inception(self, samples: Features) -> list[Score]:
        if samples.probabilities is None:
            return []
        inception = inception_score(samples.probabilities)
        rest = "float64;stderr=influence"
        in_order = f"inception;splits-of-{ADM_SPLIT}-in-order;{rest}"
        found = [self._score("IS", inception.split, in_order)]
        if len(inception.split_scores) > 1:
            found.append(self._score("IS-one-split", inception.order_free, f"inception;one-split;{rest}"))
        return found

    def _manifolds(self, reference: Features | None, samples: Features) -> list[Score]:
        if reference is None:
            return []
        manifolds = manifold_scores(reference.pool, samples.pool)
        nearest = f"k={PRECISION_K};squared<=;float32"
        nearest_density = f"k={DENSITY_K};squared<=;float32"
        return [
            self._score("precision", manifolds.precision, f"precision;{nearest}"),
            self._score("recall", manifolds.recall, f"recall;{nearest}"),
            self._score("density", manifolds.density, f"density;{nearest_density}"),
            self._score("coverage", manifolds.coverage, f"coverage;{nearest_density}"),
        ]

    def _score(self, metric: str, estimate: Estimate, protocol: str) -> Score:
        extractor = short_fingerprint(self.extractor.name, self.extractor.fingerprint())
        return make_score(f"{metric}[{self.extractor.name}]", estimate, f"{NAME}/1;{protocol};{extractor}")
