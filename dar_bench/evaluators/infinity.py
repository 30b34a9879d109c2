"""FD-infinity as an evaluator: the Frechet distance extrapolated to infinitely many samples."""

from __future__ import annotations

from dar_bench.errors import UserError
from dar_bench.evaluators.base import Fingerprint, Side
from dar_bench.evaluators.embedded import EmbeddedEvaluator
from dar_bench.evaluators.scores import check_sides, features_of, make_score, short_fingerprint
from dar_bench.metrics.frechet_infinity import POINTS, frechet_infinity
from dar_bench.metrics.moments import gaussian
from dar_bench.results.record import Score

NAME = "fd-infinity"


class FdInfinity:
    """The extrapolated distance on one extractor's features.

    Args:
        device: torch device string.
        extractor: an extractor's name; the embedded one without.

    Raises:
        UserError: the extractor is unknown, or its weights cannot be had.
    """

    def __init__(self, device: str = "cpu", extractor: str = ""):
        self.name = f"{NAME}:{extractor}" if extractor else NAME
        self._measured = EmbeddedEvaluator(device, extractor)
        self.extractor = self._measured.extractor

    def fingerprint(self) -> Fingerprint:
        """Return the choices of the protocol: those of the embedded one, for the distance alone."""
        whole = self._measured.fingerprint()
        return Fingerprint(
            evaluator=self.name,
            extractor=whole.extractor,
            resize=whole.resize,
            rounding=whole.rounding,
            layer=whole.layer,
            dtype=whole.dtype,
            trusted=whole.trusted,
        )

    def score_generation(self, reference: Side, samples: Side, *, seed: int = 0) -> list[Score]:
        """Extrapolate the distance of samples to a reference.

        Args:
            reference: the data, or their statistics. samples: the generated images.
            seed: of the subsets.

        Raises:
            UserError: fewer than ten samples for every feature dimension.
        """
        check_sides(reference, samples, "reference", "samples")
        drawn = features_of(samples, "samples")
        fixed = reference.statistics.get("pool")
        if fixed is None:
            fixed = gaussian(features_of(reference, "reference").pool)
        estimate = frechet_infinity(fixed, drawn.pool, seed=seed)
        extractor = short_fingerprint(self.extractor.name, self.extractor.fingerprint())
        protocol = f"{NAME}/1;frechet;float64;n-1;{POINTS}-subsets;seed={seed};stderr=influence-samples"
        return [make_score(f"FD-infinity[{self.extractor.name}]", estimate, f"{protocol};{extractor}")]

    def score_reconstruction(self, originals: Side, reconstructions: Side) -> list[Score]:
        """Refuse: a reconstruction's distance belongs to the data set that it is of.

        Raises:
            UserError: always.
        """
        raise UserError(
            "FD-infinity is for generated images.",
            why="A reconstruction is scored on all images of a data set; there are no more to extrapolate to.",
            hint="Use another evaluator for reconstructions.",
        )
