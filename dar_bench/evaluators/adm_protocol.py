"""The ADM protocol: which scores, of which features, with which arithmetic. Whose features they are is left open.

Two modes, always labelled. ``adm`` has the arithmetic of the original evaluator and its digits: float32 means, the
inception score in file order, precision and recall from float16 distances. ``precise`` has float64 statistics and
float32 distances. FID and sFID of both agree to 1e-5; precision and recall do not, and are never compared.
"""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np

from dar_bench.evaluators.base import Fingerprint, Side
from dar_bench.evaluators.scores import check_sides, features_of, make_score, short_fingerprint
from dar_bench.features.base import Extractor, Features
from dar_bench.metrics.adm import adm_frechet, adm_inception_score, adm_paired_frechet
from dar_bench.metrics.estimate import Estimate, FloatArray
from dar_bench.metrics.frechet import Vectors, frechet_estimate, paired_frechet_estimate
from dar_bench.metrics.inception_score import ADM_SPLIT, InceptionScore, inception_score
from dar_bench.metrics.kernel import BLOCKS, kernel_distance
from dar_bench.metrics.precision_recall import DENSITY_K, PRECISION_K, manifold_scores
from dar_bench.results.record import Score

Mode = Literal["adm", "precise"]

ORDER_MATTERS = 0.02
"""The order is noted where it changes the inception score by more than this share."""

_JACKKNIFE = "stderr=infinitesimal-jackknife"


class InceptionExtractor(Extractor, Protocol):
    """An extractor of the 2015 Inception network's features."""

    trusted: bool
    """Whether the weights are known to be the published ones."""

    def precision_note(self) -> str:
        """Return what a fast precision changed; empty where there is none."""
        ...


class AdmProtocol:
    """Scores by the ADM protocol.

    Args:
        name: of the evaluator, with its mode.
        extractor: whose features it scores.
        mode: the arithmetic.
    """

    def __init__(self, name: str, extractor: InceptionExtractor, mode: Mode):
        self.name = name
        self.mode: Mode = mode
        self.extractor: InceptionExtractor = extractor

    def fingerprint(self) -> Fingerprint:
        """Return the choices of the protocol."""
        adm = self.mode == "adm"
        return Fingerprint(
            evaluator=self.name if ":" in self.name or self.name == "adm" else f"{self.name}:{self.mode}",
            extractor=short_fingerprint(self.extractor.name, self.extractor.fingerprint()),
            resize="tf1-bilinear-299",
            rounding="float",
            layer="pool_3",
            neighbours=f"k={PRECISION_K};squared<=;{'float16' if adm else 'float32'}",
            splits=f"{ADM_SPLIT}-in-order",
            dtype="float32-means;float64-covariances" if adm else "float64",
            trusted=self.extractor.trusted,
        )

    def score_generation(self, reference: Side, samples: Side, *, seed: int = 0) -> list[Score]:
        """Score samples against a reference.

        Args:
            reference: the data; its statistics, where it has some, are used for FID and sFID, its images for the
                others, as ADM uses its reference batches.
            samples: the generated images, in the order of their file.
            seed: of the kernel distance's blocks and of the shuffle that shows whether the order matters.

        Returns:
            FID, sFID, IS, precision and recall, then what ADM does not print: IS-one-split (free of order), KD,
            density and coverage. Those that the reference cannot give are left out.

        Raises:
            UserError: too few images, values that are not finite, or sides of another extractor.
        """
        check_sides(reference, samples, "reference", "samples")
        drawn = features_of(samples, "samples")
        known = reference.features
        scores = [*self._distances(reference, drawn), *self._inception(drawn, seed)]
        if known is not None:
            scores += [*self._manifolds(known, drawn), self._kernel(known, drawn, seed)]
        ranks = {"FID": 0, "sFID": 1, "IS": 2, "precision": 3, "recall": 4}
        return sorted(scores, key=lambda score: ranks.get(score.name, len(ranks)))

    def score_reconstruction(self, originals: Side, reconstructions: Side) -> list[Score]:
        """Score reconstructions against their originals, row i of both of the same image: rFID and rsFID.

        Raises:
            UserError: too few images, counts that differ, values that are not finite, or other extractors.
        """
        check_sides(originals, reconstructions, "originals", "reconstructions")
        before = features_of(originals, "originals")
        after = features_of(reconstructions, "reconstructions")
        function = adm_paired_frechet if self.mode == "adm" else paired_frechet_estimate
        scores = []
        for name, one, other in (("rFID", before.pool, after.pool), ("rsFID", before.spatial, after.spatial)):
            if one is not None and other is not None:
                note = self._rank_note(len(one), len(one), one.shape[1])
                estimate = function(one, other)
                scores.append(self._score(name, estimate, f"{self._frechet_rules()}-pairs", note))
        return scores

    def _distances(self, reference: Side, samples: Features) -> list[Score]:
        scores = []
        for name, key, drawn in (("FID", "pool", samples.pool), ("sFID", "spatial", samples.spatial)):
            known = _vectors(reference, key)
            if known is None or drawn is None:
                continue
            estimate = adm_frechet(known, drawn) if self.mode == "adm" else frechet_estimate(known, drawn)
            count = len(known) if isinstance(known, np.ndarray) else known.n
            note = self._rank_note(count, len(drawn), drawn.shape[1])
            scores.append(self._score(name, estimate, f"{self._frechet_rules()}-samples", note))
        return scores

    def _frechet_rules(self) -> str:
        means = "float32-means;" if self.mode == "adm" else ""
        return f"frechet;{means}float64;n-1;{_JACKKNIFE}"

    def _rank_note(self, reference: int, samples: int, dimensions: int) -> str:
        if min(reference, samples) > dimensions or self.mode != "adm":
            return ""
        return (
            f"{min(reference, samples)} images for {dimensions} features: the original's matrix root is off by 1e-5 "
            "to 1e-3 here, this value is exact."
        )

    def _inception(self, samples: Features, seed: int) -> list[Score]:
        if samples.probabilities is None:
            return []
        exact = inception_score(samples.probabilities)
        split, note = exact.split, _order_note(samples.probabilities, exact, seed)
        if self.mode == "adm":
            split, undefined = adm_inception_score(samples.probabilities)
            if undefined:
                note = f"The original prints nan here: a probability is 0. {note}".strip()
        dtype = "float32" if self.mode == "adm" else "float64"
        rules = f"splits-of-{ADM_SPLIT}-in-order;{dtype};stderr=influence"
        return [
            self._score("IS", split, f"inception;{rules}", note),
            self._score("IS-one-split", exact.order_free, "inception;one-split;float64;stderr=influence"),
        ]

    def _manifolds(self, reference: Features, samples: Features) -> list[Score]:
        arithmetic: Literal["adm-float16", "float32"] = "adm-float16" if self.mode == "adm" else "float32"
        manifolds = manifold_scores(reference.pool, samples.pool, arithmetic=arithmetic)
        nearest, dense = (f"k={k};squared<=;{arithmetic}" for k in (PRECISION_K, DENSITY_K))
        return [
            self._score("precision", manifolds.precision, f"precision;{nearest}"),
            self._score("recall", manifolds.recall, f"recall;{nearest}"),
            self._score("density", manifolds.density, f"density;{dense}"),
            self._score("coverage", manifolds.coverage, f"coverage;{dense}"),
        ]

    def _kernel(self, reference: Features, samples: Features, seed: int) -> Score:
        estimate = kernel_distance(reference.pool, samples.pool, seed=seed)
        rules = f"mmd;cubic;unbiased;all-pairs;float64;stderr={BLOCKS}-blocks-both"
        return self._score("KD", estimate, rules)

    def _score(self, name: str, estimate: Estimate, rules: str, note: str = "") -> Score:
        fingerprint = self.fingerprint()
        notes = [
            "" if fingerprint.trusted else "The network is not known to be the published one (--trust).",
            self.extractor.precision_note(),
            note,
        ]
        return make_score(
            name,
            estimate,
            f"{fingerprint.evaluator}/1;{rules};{fingerprint.extractor}",
            note=" ".join(text for text in notes if text),
        )


def _vectors(side: Side, key: str) -> Vectors | None:
    """Return a side's statistics where it has some, else its features."""
    if key in side.statistics:
        return side.statistics[key]
    if side.features is None:
        return None
    return side.features.pool if key == "pool" else side.features.spatial


def _order_note(probabilities: FloatArray, exact: InceptionScore, seed: int) -> str:
    """Say where the order of the files, or a short last split, changes the score."""
    splits = len(exact.split_scores)
    if splits == 1:
        return ""
    notes = []
    order = np.random.default_rng(seed).permutation(len(probabilities))
    shuffled = inception_score(probabilities[order]).split.value
    if abs(exact.split.value / shuffled - 1.0) > ORDER_MATTERS:
        notes.append(
            f"The files are in an order that matters: shuffled, the score is {shuffled:.2f} instead of "
            f"{exact.split.value:.2f}."
        )
    rest = len(probabilities) % ADM_SPLIT
    if rest:
        whole = float(np.mean(exact.split_scores[:-1]))
        notes.append(
            f"The last of {splits} splits has {rest} images instead of {ADM_SPLIT:,} and counts as much; without "
            f"it the score is {whole:.2f}."
        )
    return " ".join(notes)
