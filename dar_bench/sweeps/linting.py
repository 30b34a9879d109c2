"""The lint of a row's samples, from what was kept of them when they were made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dar_bench.api import GeneratorCard
from dar_bench.errors import UserError
from dar_bench.evaluation.linting import Watch, expectations
from dar_bench.lint import Finding, SampleLint
from dar_bench.sweeps.execution import Executor
from dar_bench.sweeps.nodes import PIXELS
from dar_bench.sweeps.passes import words
from dar_bench.sweeps.plan import Plan, PlannedRow

if TYPE_CHECKING:
    import numpy as np

    from dar_bench.evaluation.extraction import FeatureSet


def judge_samples(
    plan: Plan, row: PlannedRow, executor: Executor, features: FeatureSet, *, strict: bool
) -> list[Finding]:
    """Return what a measurement of the row alone would find in its samples, the gravest first.

    Args:
        plan: with the row. row: whose samples.
        executor: hands out what was kept.
        features: of the row's samples.
        strict: findings that move scores are an error.

    Raises:
        UserError: with ``strict``, where there are such findings; exit status 1.
    """
    node, size = row.node, plan.card.image_size
    if isinstance(plan.card, GeneratorCard):
        expected = expectations(
            plan.panel, size=size, classes=plan.card.num_classes, even_labels=plan.policy == "balanced"
        )
    else:
        expected = expectations(plan.panel, size=size)
    lint = SampleLint(expected)
    for shard in node.shards():
        kept = executor.hashes(node, row.view, shard)
        lint.recall(kept, kept["images"], size)
    pixels = (node.views[row.view].images.kept_arrays(PIXELS) or {}).get("pixels")
    if pixels is not None:
        lint.recall_pixels(pixels[: node.samples.count])
    if node.samples.labels:
        lint.set_labels(_labels(node.samples.labels))
    try:
        return Watch(lint=lint, strict=strict).judge(features)
    except UserError as error:
        raise UserError(
            f"The row '{words(row.texts)}': {error.what}",
            why=error.why,
            hint=error.hint,
            exit_code=error.exit_code,
        ) from error


def _labels(labels: tuple[int, ...]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    import numpy as np

    return np.asarray(labels, dtype=np.int64)
