"""What evaluators have in common: from an estimate to a score, and checks of the two sides."""

from __future__ import annotations

import math

from dar_bench.errors import UserError
from dar_bench.evaluators.base import Side
from dar_bench.features.base import Features
from dar_bench.hashing import sha256_bytes
from dar_bench.metrics.estimate import Estimate
from dar_bench.metrics.frechet import frechet_estimate
from dar_bench.metrics.frechet_moments import frechet_moments_estimate, known_count
from dar_bench.metrics.moments import Gaussian, gaussian
from dar_bench.results.record import Score

MINIMUM = 16
"""Fewest images on either side. Scores of so few mean little; the limit keeps every formula defined."""


def make_score(name: str, estimate: Estimate, protocol: str, *, note: str = "") -> Score:
    """Return an estimate as a named score."""
    return Score(
        name=name,
        value=estimate.value,
        stderr=estimate.stderr,
        interval=estimate.interval,
        n=estimate.n,
        protocol=protocol,
        note=note,
    )


def short_fingerprint(name: str, fingerprint: str) -> str:
    """Return an extractor's name with the beginning of its fingerprint's hash, for protocol strings."""
    return f"{name}@{sha256_bytes(fingerprint.encode())[:12]}"


def check_sides(first: Side, second: Side, one: str, other: str, *, minimum: int = MINIMUM) -> None:
    """Refuse sides that were not measured by the same extractor or are too small.

    Args:
        first, second: the sides; statistics without features are bound to their extractor where they are
            read.
        one, other: what to call them (``reference``, ``samples``).
        minimum: fewest images whose features make sense.

    Raises:
        UserError: with the counts or the fingerprints that differ.
    """
    if first.features is not None and second.features is not None:
        found = first.features.fingerprint, second.features.fingerprint
        if found[0] != found[1]:
            raise UserError(
                f"The {one} and the {other} were not measured by the same extractor.",
                why=f"Found '{found[0]}' and '{found[1]}'.",
                hint="Extract both with the same extractor.",
            )
    counts = [minimum if side.features is None else len(side.features) for side in (first, second)]
    if min(counts) < minimum:
        raise UserError(
            f"Too few images: {counts[0]} {one} and {counts[1]} {other}.",
            why=f"At least {minimum} of each are needed.",
            hint="Use more images; scores settle only with thousands.",
        )


def features_of(side: Side, what: str) -> Features:
    """Return a side's features.

    Args:
        side: which. what: its role, for the message.

    Raises:
        UserError: it has statistics alone.
    """
    if side.features is None:
        raise UserError(
            f"The {what} '{side.name}' hold statistics alone.",
            why="These scores need the images themselves.",
            hint="Name the images, as a folder or an archive.",
        )
    return side.features


def frechet_of(reference: Side, samples: Side) -> tuple[Estimate, str]:
    """Return the Frechet distance of two sides, each features or statistics, and where its error comes from.

    Raises:
        UserError: a side has neither, or the samples' statistics do not say of how many images they are.
    """
    known = reference.statistics.get("pool")
    fixed = known if known is not None else features_of(reference, "reference").pool
    drawn = samples.statistics.get("pool")
    if samples.features is None and drawn is not None:
        moments = fixed if isinstance(fixed, Gaussian) else gaussian(fixed)
        counted = known_count(samples.name, drawn, samples.count)
        return frechet_moments_estimate(moments, counted), "stderr=gaussian-samples"
    estimate = frechet_estimate(fixed, features_of(samples, "samples").pool)
    return estimate, "stderr=infinitesimal-jackknife-samples"


def subset_error(deviation: float, subsets: int, size: int, n: int) -> float:
    """Return the standard error of a mean over random subsets.

    Subsets of ``size`` out of ``n`` share the noise of those n, which is smaller than their own by root
    ``size / n``, and add that of having drawn only ``subsets`` of them.

    Args:
        deviation: standard deviation over the subsets. subsets: how many. size: images in each. n: images.
    """
    return deviation * math.sqrt(min(1.0, size / n) + 1.0 / subsets)


def untrusted_note(trusted: bool) -> str:
    """Return what a score must say of weights that nothing shows to be the published ones."""
    return "" if trusted else "Not the published Inception weights: compares with no published score."
