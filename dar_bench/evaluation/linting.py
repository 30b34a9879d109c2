"""The lint that runs beside a measurement: it sees what the extractors see, and speaks before any score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dar_bench.errors import EXIT_CHECK_FAILED, UserError
from dar_bench.lint import Expectations, Finding, SampleLint, failures
from dar_bench.lint.collector import ADM_COUNT

if TYPE_CHECKING:
    from dar_bench.evaluation.extraction import FeatureSet
    from dar_bench.evaluation.scoring import Panel


@dataclass(frozen=True, kw_only=True)
class Watch:
    """A lint and what its findings lead to.

    Attributes:
        lint: gathers.
        strict: findings that move scores are an error.
    """

    lint: SampleLint = field(default_factory=SampleLint)
    strict: bool = False

    def judge(self, features: FeatureSet) -> list[Finding]:
        """Return what was found, the gravest first.

        Args:
            features: of all samples; those with class probabilities tell most.

        Raises:
            UserError: with ``strict``, where something was found that moves scores; exit status 1.
        """
        best = max(features.values(), key=lambda one: one.probabilities is not None, default=None)
        findings = self.lint.findings(best)
        grave = failures(findings, strict=self.strict)
        if grave:
            more = (
                f" And {len(grave) - 1} more: {', '.join(one.rule for one in grave[1:])}."
                if grave[1:]
                else ""
            )
            raise UserError(
                f"The samples would mislead ({grave[0].rule}): {grave[0].seen}",
                why=f"{grave[0].effect}{more}",
                hint=f"{grave[0].remedy} Without --strict they are scored all the same.",
                exit_code=EXIT_CHECK_FAILED,
            )
        return findings


def expectations(
    panel: Panel,
    *,
    size: int | None = None,
    cropped: bool = False,
    classes: int | None = None,
    even_labels: bool = False,
) -> Expectations:
    """Return what the evaluators expect of samples: 50,000 where the published scores are of so many.

    Args:
        panel: who scores.
        size: side in pixels.
        cropped: images of any size will do, because they are cropped first.
        classes: how many there are. even_labels: every class equally often.
    """
    published = any("inception" in evaluator.extractor.name for evaluator in panel.evaluators)
    return Expectations(
        count=ADM_COUNT if published else None,
        size=size,
        cropped=cropped,
        classes=classes,
        even_labels=even_labels,
    )


def remark(findings: Sequence[Finding]) -> str:
    """Return the sentence by which a record remembers what was found, or nothing."""
    rules = [one.rule for one in findings if one.severity != "note"]
    return f"Sample lint found: {', '.join(rules)}." if rules else ""
