"""From an expected and a newly measured record to a verdict, in standard errors and never in bands set by hand.

Two runs with different random numbers differ by chance: a score by sqrt(s1^2 + s2^2). Two runs of one seed make
the same samples, but for those that rounding (another processor) or a change of the code turned into others. If a
share q of the samples is new, the difference of the scores is that of q n exchanged samples, whose standard error
is sqrt(q) sqrt(s1^2 + s2^2). The share is not known but can be bounded: the record's sketch holds hashes of some
samples; k of m changed gives the exact binomial bound on q. With no sample changed among 200 it is 2.3 %, and a
drift of two thirds of one run's standard error is found; with all of them changed the rule is that for independent
runs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dar_bench.results.comparison import (
    Difference,
    changed_share,
    compare_records,
    model_reasons,
    protocol_reasons,
    rounding_error,
)
from dar_bench.results.record import Record, Score
from dar_bench.verification import Verification, judge

if TYPE_CHECKING:
    from dar_bench.sketches import Sketch

Verdict = Literal["matches", "drifted", "not comparable"]

FLOAT_NOISE = 1e-6
"""Relative standard error that float32 features on another processor leave in a score of the same samples."""


@dataclass(frozen=True, kw_only=True)
class ScoreVerdict:
    """What came of one score.

    Attributes:
        name: of the score.
        verdict: of it.
        expected, found: its values; ``found`` is ``None`` where it was not measured.
        standard_errors: how many of them lie between; ``None`` where that cannot be said.
        reason: why it is not comparable.
    """

    name: str
    verdict: Verdict
    expected: float
    found: float | None = None
    standard_errors: float | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one check.

    Attributes:
        name: of the check.
        verdict: ``drifted`` where anything drifted; ``not comparable`` where nothing could be compared.
        scores: one by one.
        reason: why it is not comparable, or what drifted besides scores.
        samples: whether the samples are the record's, where that was looked at.
        optional: whether it passes where it cannot be made.
        record: name of the expected record.
        seconds: it took.
    """

    name: str
    verdict: Verdict
    scores: tuple[ScoreVerdict, ...] = ()
    reason: str = ""
    samples: Verification | None = None
    optional: bool = False
    record: str = ""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether the check lets a build go on."""
        return self.verdict == "matches" or (self.verdict == "not comparable" and self.optional)


def judge_record(
    expected: Record,
    found: Record,
    *,
    limit: float,
    names: tuple[str, ...] = (),
    sketches: tuple[Sketch, Sketch] | None = None,
    same_samples: bool = False,
) -> tuple[Verdict, tuple[ScoreVerdict, ...], str, Verification | None]:
    """Return the verdict, that of every score, the reason in words, and the finding about the samples.

    Args:
        expected, found: the records.
        limit: standard errors that a score may be away.
        names: scores that count; all that ``expected`` has where it is empty.
        sketches: of both, where they are at hand and the runs have one seed.
        same_samples: the samples must be the same, up to what rounding explains.
    """
    reasons = [*model_reasons(expected, found), *protocol_reasons(expected, found)]
    wanted = [score for score in expected.scores if not names or score.name in names]
    if reasons:
        return "not comparable", _incomparable(wanted, found, "; ".join(reasons)), "; ".join(reasons), None
    samples = judge(*sketches) if sketches and _same_run(expected, found) else None
    share = changed_share(samples.different, samples.samples) if samples else 1.0
    differences = {one.name: one for one in compare_records(expected, found)}
    verdicts = tuple(_score(score, found, differences.get(score.name), share, limit) for score in wanted)
    missing = [name for name in names if name not in {score.name for score in wanted}]
    if missing:
        return "not comparable", verdicts, f"the expected record has no score '{missing[0]}'", samples
    if same_samples and samples is None:
        return "not comparable", verdicts, "the sketch of the expected record is not here", None
    if same_samples and samples is not None and not samples.passed:
        return "drifted", verdicts, samples.sentence(), samples
    if any(one.verdict == "drifted" for one in verdicts):
        return "drifted", verdicts, "", samples
    if any(one.verdict == "matches" for one in verdicts):
        return "matches", verdicts, "", samples
    reason = next((one.reason for one in verdicts if one.reason), "no score is in both")
    return "not comparable", verdicts, reason, samples


def _score(
    expected: Score, found: Record, difference: Difference | None, share: float, limit: float
) -> ScoreVerdict:
    if difference is None:
        here = ", ".join(score.name for score in found.scores)
        reason = f"{expected.name} was not measured; this evaluator gives {here or 'no score'}"
        return ScoreVerdict(
            name=expected.name, verdict="not comparable", expected=expected.value, reason=reason
        )
    first, second = difference.first, difference.second
    # A publication's scores name no error and no protocol of ours; with equal n their error is as large as ours.
    reported = first.stderr is None and first.interval is None
    reasons = [why for why in difference.reasons if not (reported and why.startswith("other protocol"))]
    if reasons:
        return ScoreVerdict(
            name=expected.name,
            verdict="not comparable",
            expected=first.value,
            found=second.value,
            reason="; ".join(reasons),
        )
    own = _error(second)
    other = math.hypot(own, rounding_error(first.value)) if reported else _error(first)
    noise = FLOAT_NOISE * max(abs(first.value), abs(second.value))
    error = math.hypot(math.sqrt(share) * math.hypot(own, other), noise)
    away = difference.value / error if error else (0.0 if difference.value == 0 else math.inf)
    return ScoreVerdict(
        name=expected.name,
        verdict="matches" if abs(away) <= limit else "drifted",
        expected=first.value,
        found=second.value,
        standard_errors=away,
    )


def _error(score: Score) -> float:
    """Return the standard error, from the interval where it is the wider: shares of 0 and 1 have an error of 0."""
    bounds = score.bounds()
    half = (bounds[1] - bounds[0]) / (2 * 1.96) if bounds else 0.0
    return max(score.stderr or 0.0, half)


def _incomparable(wanted: list[Score], found: Record, reason: str) -> tuple[ScoreVerdict, ...]:
    return tuple(
        ScoreVerdict(
            name=score.name,
            verdict="not comparable",
            expected=score.value,
            found=other.value if (other := found.score(score.name)) else None,
            reason=reason,
        )
        for score in wanted
    )


def _same_run(expected: Record, found: Record) -> bool:
    return expected.seeds.get("run") == found.seeds.get("run")
