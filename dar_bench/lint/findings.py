"""What a lint rule reports, and the catalogue of all rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One thing that is looked for.

    Attributes:
        id: as printed and as written in ``--ignore``.
        severity: ``error`` where scores come out meaningless, ``warning`` where they move, ``note`` where a
            reader should know.
        metrics: the scores that it moves.
        effect: how it moves them, one sentence.
        remedy: what to do about it.
    """

    id: str
    severity: Severity
    metrics: tuple[str, ...]
    effect: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A rule that a sample set trips.

    Attributes:
        rule: its id.
        severity, metrics, effect, remedy: of the rule; the effect may hold numbers of this set.
        seen: what was seen, one sentence with the numbers in it.
        numbers: the same numbers, by name.
    """

    rule: str
    severity: Severity
    metrics: tuple[str, ...]
    seen: str
    effect: str
    remedy: str
    numbers: Mapping[str, float | int | str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the finding as JSON values."""
        return {**asdict(self), "metrics": list(self.metrics), "numbers": dict(self.numbers)}


_ALL = ("FID", "sFID", "IS", "precision", "recall")

_RULES = (
    Rule(
        id="unreadable",
        severity="error",
        metrics=_ALL,
        effect="Samples that are missing make a smaller and, where they fail for a reason, another set.",
        remedy="Make these files again.",
    ),
    Rule(
        id="not-finite",
        severity="error",
        metrics=_ALL,
        effect="One NaN or infinity makes every score NaN.",
        remedy="Find what made these values; look at the device's precision.",
    ),
    Rule(
        id="wrong-range",
        severity="error",
        metrics=_ALL,
        effect="Networks that expect 0 to 255 see almost black images, and every score is meaningless.",
        remedy="Scale to 0..255 and round: clip(round(x * 255)), or clip(round(x * 127.5 + 127.5)).",
    ),
    Rule(
        id="wrong-dtype",
        severity="error",
        metrics=_ALL,
        effect="ADM's evaluator would take the values as they are; published scores rest on 8-bit images.",
        remedy="Round to uint8 as the images would be saved.",
    ),
    Rule(
        id="mixed-sizes",
        severity="error",
        metrics=_ALL,
        effect="Resizing blurs each size differently, so the features mix several distributions.",
        remedy="Bring all images to one size before they are measured.",
    ),
    Rule(
        id="wrong-size",
        severity="error",
        metrics=_ALL,
        effect="Images of another size than the reference's are blurred or sharpened by the resize to the "
        "network's input, which moves every feature.",
        remedy="Measure at the size that the reference was made at.",
    ),
    Rule(
        id="class-sorted",
        severity="warning",
        metrics=("IS",),
        effect="ADM averages the inception score over runs of 5,000 files; runs of few classes score low, "
        "a fully sorted ImageNet set by a factor of about four.",
        remedy="Shuffle the samples, or compare the order-free score; FID, precision and recall do not move.",
    ),
    Rule(
        id="sample-count",
        severity="warning",
        metrics=("FID", "sFID", "IS", "recall"),
        effect="FID is biased upwards and IS downwards, by amounts that fall as 1/n: only scores of equal n "
        "compare.",
        remedy="Generate as many samples as the published number has.",
    ),
    Rule(
        id="short-split",
        severity="warning",
        metrics=("IS",),
        effect="The last run of ADM's inception score is short, scores low, and counts as much as the others.",
        remedy="Use a multiple of 5,000 samples, or compare the order-free score.",
    ),
    Rule(
        id="label-imbalance",
        severity="warning",
        metrics=("FID", "IS", "recall"),
        effect="Classes that come too often or never shift the mean and covariance away from the reference.",
        remedy="Draw labels evenly, or as often as the reference holds them, and say which.",
    ),
    Rule(
        id="duplicates",
        severity="warning",
        metrics=("FID", "IS", "precision", "recall"),
        effect="Copies count as samples: the effective number falls, radii of nearest-neighbour balls shrink "
        "to zero, recall falls.",
        remedy="Give every sample a seed of its own; look for a batch that was written twice.",
    ),
    Rule(
        id="blank-images",
        severity="warning",
        metrics=_ALL,
        effect="Images of one single colour are mostly failed decodings (NaN becomes black) and pull the "
        "feature mean away.",
        remedy="Look at the named images and at the precision that decoded them.",
    ),
    Rule(
        id="half-level-truncation",
        severity="warning",
        metrics=("FID", "PSNR", "SSIM"),
        effect="Truncating instead of rounding darkens the images by half a grey level on average; where "
        "63 of 256 levels are one too low, PSNR against the untouched images cannot exceed some 54 dB.",
        remedy="Round before the conversion to uint8.",
    ),
    Rule(
        id="missing-levels",
        severity="warning",
        metrics=("FID", "PSNR", "SSIM"),
        effect="Grey levels that never occur show that values were stretched or quantised after rounding.",
        remedy="Keep the images as the model rounded them; no contrast or gamma steps.",
    ),
    Rule(
        id="jpeg-origin",
        severity="warning",
        metrics=("FID", "sFID", "precision"),
        effect="JPEG compression removes fine detail and adds an 8x8 pattern, which the features see "
        "(Parmar et al. 2022): FID rises.",
        remedy="Save samples as PNG or npz.",
    ),
    Rule(
        id="converted-images",
        severity="note",
        metrics=_ALL,
        effect="Greyscale, palette or transparent files were converted to RGB (transparency on white), which "
        "another tool may do differently.",
        remedy="Save samples as RGB.",
    ),
    Rule(
        id="rank-deficient",
        severity="warning",
        metrics=("FID", "sFID"),
        effect="With no more samples than feature dimensions the covariance has no full rank: the distance is "
        "exact here, but its bias dominates, and a matrix square root elsewhere is off by up to 1e-3.",
        remedy="Use more samples than dimensions; compare only equal n.",
    ),
)

RULES: Mapping[str, Rule] = {rule.id: rule for rule in _RULES}
"""All rules, by id."""


def finding(
    rule: str, seen: str, *, effect: str = "", severity: Severity | None = None, **numbers: float | int | str
) -> Finding:
    """Build a finding of a rule of the catalogue.

    Args:
        rule: its id.
        seen: one sentence with the numbers in it.
        effect: said in place of the rule's own, where this set's numbers are known.
        severity: where this case is another than the rule's own.
        numbers: by name.
    """
    known = RULES[rule]
    return Finding(
        rule=rule,
        severity=severity or known.severity,
        metrics=known.metrics,
        seen=seen,
        effect=effect or known.effect,
        remedy=known.remedy,
        numbers=numbers,
    )


def failures(findings: Iterable[Finding], *, strict: bool) -> list[Finding]:
    """Return the findings that make a command fail: with ``strict`` all but notes, else none."""
    return [one for one in findings if strict and one.severity != "note"]


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings with the gravest first, each kind in the order of the catalogue."""
    place = {rule: number for number, rule in enumerate(RULES)}
    return sorted(findings, key=lambda one: (SEVERITIES.index(one.severity), place[one.rule]))
