"""Calibration: a published sample batch scored again, beside the numbers that were published for it.

The batch is OpenAI's ``admnet_guided_upsampled_imagenet256.npz`` against ``VIRTUAL_imagenet256_labeled.npz``; its
scores stand in the documentation of their evaluator with all digits. Whoever reproduces them measures by the
ADM protocol.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dar_bench.download import fetch_file
from dar_bench.errors import UserError, unknown_name
from dar_bench.evaluation.images import measure_images
from dar_bench.evaluation.scoring import Panel
from dar_bench.evaluators.names import known_evaluators, load_evaluator
from dar_bench.paths import home
from dar_bench.references.cards import fetch_reference, find_card, stored_path
from dar_bench.references.opening import open_given

if TYPE_CHECKING:
    from dar_bench.evaluators.base import Evaluator

REFERENCE = "adm-imagenet256"
SAMPLES_URL = (
    "https://openaipublic.blob.core.windows.net/diffusion/jul-2021/ref_batches/imagenet/256/"
    "admnet_guided_upsampled_imagenet256.npz"
)
PROTOCOL = ("adm", "native")
"""Evaluators of ADM's protocol."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """A published number.

    Attributes:
        value: as published.
        tolerance: how far a faithful evaluator may be from it.
        reason: where the tolerance comes from.
    """

    value: float
    tolerance: float
    reason: str = ""


_FEATURES = "features of two float32 implementations on other hardware move it by some 1e-4 of its value"
_HALVES = "0.0001 of rounding in print, 5 rows of 10,000 for float16 sums in another order"

PUBLISHED: Mapping[str, Expected] = {
    "FID": Expected(value=3.9425574129223264, tolerance=1.2e-3, reason=_FEATURES),
    "sFID": Expected(value=6.140433703346162, tolerance=1.9e-3, reason=_FEATURES),
    "IS": Expected(value=215.8370361328125, tolerance=2.2e-2, reason=_FEATURES),
    "precision": Expected(value=0.8265, tolerance=6e-4, reason=_HALVES),
    "recall": Expected(value=0.5309, tolerance=6e-4, reason=_HALVES),
}
"""Scores that OpenAI's evaluator printed. Tolerances: three times the 1e-4 relative that the TensorFlow graph and
a torch port of it differ by on one machine for FID and sFID, and 1e-4 for IS."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One score of one evaluator beside the published one.

    Attributes:
        evaluator: who scored. score: its name.
        found: the value; ``None`` where this evaluator has no such score.
        expected: the published one.
    """

    evaluator: str
    score: str
    found: float | None
    expected: Expected

    @property
    def ok(self) -> bool:
        """Whether the difference is within the tolerance."""
        return self.found is not None and abs(self.found - self.expected.value) <= self.expected.tolerance

    def as_json(self) -> dict[str, Any]:
        """Return the comparison as JSON values."""
        return {
            "evaluator": self.evaluator,
            "score": self.score,
            "found": self.found,
            "expected": self.expected.value,
            "difference": None if self.found is None else self.found - self.expected.value,
            "tolerance": self.expected.tolerance,
            "reason": self.expected.reason,
            "ok": self.ok,
        }


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What came of it.

    Attributes:
        comparisons: by evaluator, in the order of the published scores.
        missing: evaluator to the reason why it could not score.
    """

    comparisons: list[Comparison]
    missing: Mapping[str, str]

    @property
    def ok(self) -> bool:
        """Whether at least one evaluator scored, and every score is where it should be."""
        return bool(self.comparisons) and all(one.ok for one in self.comparisons)


def calibrate(
    reference: str,
    samples: str,
    *,
    expected: Mapping[str, Expected] = PUBLISHED,
    evaluators: Sequence[str] = (),
    device: str = "cpu",
    on_images: Callable[[int], Any] = lambda count: None,
) -> Calibration:
    """Score a batch with every evaluator of ADM's protocol that works here, and compare.

    Args:
        reference, samples: as for ``dar-bench eval images``.
        expected: score name to the published number.
        evaluators: who scores; ``PROTOCOL`` without. One that is named here must work.
        device: torch device string.
        on_images: told how many images were done.

    Raises:
        UserError: files that cannot be read, or no evaluator that works.
    """
    known = known_evaluators()
    for name in evaluators:
        if name not in known:
            raise unknown_name("evaluator", name, known)
    loaded: list[Evaluator] = []
    missing: dict[str, str] = {}
    for name in evaluators or [name for name in PROTOCOL if name in known]:
        try:
            loaded.append(load_evaluator(name, device))
        except UserError as error:
            if evaluators:
                raise
            missing[name] = str(error)
    if not loaded:
        raise UserError(
            "No evaluator of ADM's protocol works on this machine.",
            why=" ".join(f"{name}: {reason}" for name, reason in missing.items()) or "None is installed.",
            hint="Run 'dar-bench doctor' for what is missing.",
        )
    panel = Panel(evaluators=tuple(loaded), missing=missing, demanded=frozenset(evaluators))
    measurement = measure_images(open_given(reference), open_given(samples), panel, on_images=on_images)
    comparisons = []
    for scored in measurement.results:
        values = {score.name: score.value for score in scored.scores}
        comparisons += [
            Comparison(evaluator=scored.evaluator.name, score=name, found=values.get(name), expected=wanted)
            for name, wanted in expected.items()
        ]
    return Calibration(comparisons=comparisons, missing={**missing, **measurement.missing})


def published_reference() -> str:
    """Return the name of the published reference, fetched first where it is not here yet."""
    card = find_card(REFERENCE)
    if not stored_path(card).is_file():
        fetch_reference(card)
    return REFERENCE


def published_samples() -> str:
    """Return the path of the published sample batch, fetched first where it is not here yet (about 10 GB)."""
    path = home() / "references" / Path(SAMPLES_URL).name
    if not path.is_file():
        fetch_file(
            SAMPLES_URL,
            path,
            remedy=f"With the file from another machine: dar-bench doctor --calibrate --samples {path.name}",
        )
    return str(path)


def read_expected(path: Path) -> dict[str, Expected]:
    """Read published numbers of another batch: JSON, score name to ``{"value": ..., "tolerance": ...}``.

    Raises:
        UserError: no such file, or another form.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        found = {
            str(name): Expected(
                value=float(one["value"]),
                tolerance=float(one["tolerance"]),
                reason=str(one.get("reason", "")),
            )
            for name, one in values.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"Cannot read the expected scores in '{path}'.",
            why=f"{type(error).__name__}: {error}",
            hint='The form is {"FID": {"value": 3.94, "tolerance": 0.001}}.',
        ) from error
    if not found:
        raise UserError(f"'{path}' expects no score.", hint="Name at least one.")
    return found
