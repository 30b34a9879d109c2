"""Which of two scores is better, and which records no other beats in quality and cost at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dar_bench.errors import UserError
from dar_bench.results.record import Record
from dar_bench.results.store import StoredRecord
from dar_bench.results.texts import display, option_text

LOWER_IS_BETTER = ("FID", "sFID", "FD", "sFD", "KD", "KID", "LPIPS", "CMMD")
"""Quantities of which less is better; a score's name may add an r or g before and an extractor after them."""

COSTS: dict[str, tuple[str, Callable[[Record], float | None]]] = {
    "parameters": ("parameters", lambda record: record.model.parameters),
    "flops": ("FLOPs per image", lambda record: record.cost.flops_per_image),
    "evaluations": (
        "network evaluations",
        lambda record: sum(record.cost.network_evaluations.values()) or None,
    ),
    "seconds": ("model seconds per image", lambda record: seconds_per_image(record)),
    "preview": ("seconds to the first preview", lambda record: record.cost.first_preview_seconds),
    "memory": ("peak memory in bytes", lambda record: record.cost.peak_memory_bytes),
}
"""What a measurement can cost: name to heading and value. Less is better for all of them."""


def base_name(score: str) -> str:
    """Return a score's name without its extractor: ``FD`` of ``FD[efficientnet-lite0]``."""
    return score.partition("[")[0]


def lower_is_better(score: str) -> bool:
    """Return whether less of this score is better."""
    name = base_name(score).removesuffix("-infinity")
    return name in LOWER_IS_BETTER or (name[:1] in ("r", "g") and name[1:] in LOWER_IS_BETTER)


def seconds_per_image(record: Record) -> float | None:
    """Return the time that the model took for an image, over a whole batch; ``None`` where it is not known."""
    busy = record.cost.model_seconds
    return busy / record.samples if busy and record.samples else None


def pareto_front(
    points: Sequence[tuple[float, float]], *, lower_x: bool, lower_y: bool
) -> list[tuple[float, float]]:
    """Return the points that no other point beats in both coordinates, by rising x.

    A point is beaten by one that is at least as good in both and better in one.
    """
    x_sign, y_sign = (1 if lower_x else -1), (1 if lower_y else -1)
    front: list[tuple[float, float]] = []
    best = float("inf")
    for x, y in sorted(set(points), key=lambda point: (x_sign * point[0], y_sign * point[1])):
        if y_sign * y < best:
            best = y_sign * y
            front.append((x, y))
    return sorted(front)


def pareto_table(
    records: Sequence[StoredRecord], *, score: str, cost: str, all_rows: bool = False
) -> list[dict[str, object]]:
    """Return the records that no other beats in both a score and a cost, cheapest first.

    Only records whose score has one and the same protocol and reference are set against each other: the group
    with the most records. Cost in seconds depends on the machine, and only records of one device and precision
    are compared then.

    Args:
        records: measured ones; others have no cost but their parameters.
        score: full name of a score (``FD[efficientnet-lite0]``).
        cost: a key of ``COSTS``.
        all_rows: also return the beaten ones, marked.

    Raises:
        UserError: no record has both.
    """
    _, value_of = COSTS[cost]
    groups: dict[object, list[tuple[StoredRecord, float, float]]] = {}
    for item in records:
        found, price = item.record.score(score), value_of(item.record)
        if found is None or price is None:
            continue
        evaluator = item.record.evaluator
        same: list[object] = [
            found.protocol,
            evaluator and (evaluator.reference, evaluator.reference_fingerprint),
        ]
        if cost in ("seconds", "preview", "memory"):
            same += [item.record.environment.device, item.record.environment.precision]
        groups.setdefault(tuple(same), []).append((item, price, found.value))
    if not groups:
        names = sorted({entry.name for item in records for entry in item.record.scores})
        raise UserError(
            f"No record has both the score '{score}' and a cost in {COSTS[cost][0]}.",
            hint=f"Scores that are there: {', '.join(names)}." if names else "Measure something first.",
        )
    points = max(groups.values(), key=len)
    front = set(pareto_front([point[1:] for point in points], lower_x=True, lower_y=lower_is_better(score)))
    rows: list[dict[str, object]] = []
    for item, price, value in sorted(points, key=lambda point: (point[1], point[2])):
        best = (price, value) in front
        shown = item.record.score(score)
        if shown is not None and (best or all_rows):
            rows.append(
                {
                    "record": item.digits,
                    "model": item.record.model.name,
                    "options": option_text(item.record),
                    "cost": price,
                    "value": value,
                    "shown": display(shown),
                    "front": best,
                }
            )
    return rows
