"""Two records against each other: may their scores be compared, by how much they differ, and is that chance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import beta, norm

from dar_bench.results.ranking import base_name
from dar_bench.results.record import Record, Score

if TYPE_CHECKING:
    from dar_bench.sketches import Sketch

LEVEL = 0.95
"""Two scores are told apart where 0 lies outside the interval of their difference at this level."""

SHARE_CONFIDENCE = 0.99
"""Confidence of the bound on how many samples changed."""

_Z = float(norm.ppf(0.5 + LEVEL / 2))


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One score of two records.

    Attributes:
        name: of the score.
        first, second: its values.
        stderr: standard error of ``second - first``; ``None`` where a side has none.
        correlation: between the two estimates, where common random numbers were used for it; else 0.
        reasons: why the two should not be compared; empty where they may.
    """

    name: str
    first: Score
    second: Score
    stderr: float | None
    correlation: float = 0.0
    reasons: tuple[str, ...] = ()

    @property
    def value(self) -> float:
        """``second - first``."""
        return self.second.value - self.first.value

    @property
    def standard_errors(self) -> float | None:
        """The difference in units of its standard error."""
        if self.stderr is None:
            return None
        if self.stderr == 0.0:
            return 0.0 if self.value == 0.0 else math.copysign(math.inf, self.value)
        return self.value / self.stderr

    @property
    def separable(self) -> bool | None:
        """Whether the two are told apart at ``LEVEL``; ``None`` where no error is known."""
        distance = self.standard_errors
        return None if distance is None else abs(distance) > _Z


def compare_records(
    first: Record, second: Record, sketches: tuple[Sketch, Sketch] | None = None
) -> list[Difference]:
    """Return the difference of every score that both records have, in the order of the first.

    The standard error takes the two estimates as independent, unless both runs have the same seed, labels and
    number of samples: sample i of both then comes from the same random numbers, and for FD and IS the correlation of
    what sample i does to each score is estimated from the sketches. Its lower 95 % bound (Fisher 1915) is used, so that
    the error is rather too large than too small. Scores that the reference's own sampling enters share it; that part
    cancels and is left in, on the safe side.

    Args:
        first, second: the records.
        sketches: of both, where they are at hand.
    """
    shared = protocol_reasons(first, second)
    paired = sketches if sketches is not None and _common_numbers(first, second, *sketches) else None
    found = []
    for one in first.scores:
        other = second.score(one.name)
        if other is None:
            continue
        correlation = _correlation(base_name(one.name), *paired) if paired else 0.0
        stderr = None
        if one.stderr is not None and other.stderr is not None:
            covariance = correlation * one.stderr * other.stderr
            stderr = math.sqrt(max(0.0, one.stderr**2 + other.stderr**2 - 2 * covariance))
        reasons = list(shared)
        if one.protocol != other.protocol:
            reasons.append(f"other protocol: '{one.protocol}' and '{other.protocol}'")
        if one.n != other.n:
            reasons.append(f"other sample count: {one.n} and {other.n}")
        found.append(
            Difference(
                name=one.name,
                first=one,
                second=other,
                stderr=stderr,
                correlation=correlation,
                reasons=tuple(reasons),
            )
        )
    return found


def protocol_reasons(first: Record, second: Record) -> list[str]:
    """Return why scores of two records are no answers to the same question; empty where they are."""
    reasons = []
    if first.kind != second.kind:
        reasons.append(f"other kind: {first.kind} and {second.kind}")
    if first.samples != second.samples:
        reasons.append(f"other sample count: {first.samples} and {second.samples}")
    one, other = first.evaluator, second.evaluator
    if one is not None and other is not None:
        for what, left, right in (
            ("evaluator", one.name, other.name),
            ("extractor", one.extractor_fingerprint, other.extractor_fingerprint),
            ("reference", one.reference_fingerprint, other.reference_fingerprint),
        ):
            # A publication does not say fingerprints.
            if left != right and (left and right):
                names = (one.reference, other.reference) if what == "reference" else (left, right)
                sizes = (
                    f" of {one.reference_count} and {other.reference_count} images"
                    if what == "reference" and one.reference_count != other.reference_count
                    else ""
                )
                reasons.append(f"other {what}: {names[0]} and {names[1]}{sizes}")
    return reasons


def model_reasons(expected: Record, found: Record) -> list[str]:
    """Return why two records are not about the same model with the same options; empty where they are.

    Of a published record only the options that it states count.
    """
    reasons = []
    if expected.model.name != found.model.name:
        reasons.append(f"other model: {expected.model.name} and {found.model.name}")
    for what, left, right in (
        ("weights", expected.model.weights_sha256, found.model.weights_sha256),
        ("tokenizer weights", expected.model.tokenizer_sha256, found.model.tokenizer_sha256),
    ):
        if left is not None and left != right:
            reasons.append(f"other {what}: {left[:12]} and {str(right)[:12]}")
    for name in sorted({*expected.options, *(found.options if expected.origin == "measured" else ())}):
        if name in ("codebook-size", "family") and expected.origin == "reported":
            continue  # facts of the tokenizer that a table prints, no options
        left, right = expected.options.get(name), found.options.get(name)
        if not _same_value(left, right):
            reasons.append(f"other option {name}: {left} and {right}")
    return reasons


def changed_share(changed: int, samples: int) -> float:
    """Return an upper bound on the share of samples that changed, seen ``changed`` among ``samples`` looked at.

    The exact binomial bound (Clopper and Pearson 1934) at ``SHARE_CONFIDENCE``; 1 where none were looked at.
    """
    if samples == 0 or changed >= samples:
        return 1.0
    return float(beta.ppf(SHARE_CONFIDENCE, changed + 1, samples - changed))


def _common_numbers(first: Record, second: Record, one: Sketch, other: Sketch) -> bool:
    return (
        first.seeds.get("run") == second.seeds.get("run")
        and first.samples == second.samples
        and first.options.get("labels") == second.options.get("labels")
        and one.extractor == other.extractor
        and np.array_equal(one.indices, other.indices)
    )


def _correlation(kind: str, one: Sketch, other: Sketch) -> float:
    """Return a lower bound on the correlation of what the common samples do to a score; 0 where unknown."""
    key = "IS" if kind.startswith("IS") else kind
    if key not in one.influences or key not in other.influences:
        return 0.0
    left, right = one.influences[key], other.influences[key]
    if len(left) <= 3 or left.std() == 0 or right.std() == 0:
        return 0.0
    measured = float(np.corrcoef(left, right)[0, 1])
    if measured >= 1.0 - 1e-12:
        return 1.0
    bound = math.tanh(math.atanh(measured) - norm.ppf(0.95) / math.sqrt(len(left) - 3))
    return max(0.0, bound)


def _same_value(left: object, right: object) -> bool:
    if isinstance(left, int | float) and isinstance(right, int | float):
        return float(left) == float(right)
    return str(left) == str(right)


def rounding_error(value: float) -> float:
    """Return the standard error that printing to the digits of ``value`` leaves: a uniform one in half a unit."""
    text = repr(value)
    decimals = len(text.partition(".")[2]) if "e" not in text else 12
    return float(10.0**-decimals / math.sqrt(12.0))
