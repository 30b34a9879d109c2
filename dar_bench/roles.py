"""Which data serve which measurement: defaults, classes to generate, and a refusal where a choice misleads."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from dar_bench.api import GeneratorCard
from dar_bench.errors import UserError
from dar_bench.labels import Policy, draw_labels, serves
from dar_bench.plugins import registry

if TYPE_CHECKING:
    from dar_bench.data import ImageSource
    from dar_bench.references.cards import Role


def check_role(data: str, purpose: Role, name: str, *, forced: bool = False) -> str:
    """Refuse data that are not meant for a measurement; forced, return what a reader must know, else ``""``.

    Args:
        data: what the user called the data: a shipped split (``emoji64:train``) or a reference card.
        purpose: ``reconstruction`` (needs images that no training saw) or ``generation`` (compares with the
            training data).
        name: of the model or the sample set.
        forced: measure all the same.

    Raises:
        UserError: the data are known to be for the other purpose, and it is not forced.
    """
    role, better = _role_of(data, purpose)
    if role in ("", purpose):
        return ""
    if purpose == "reconstruction":
        what = f"{data} is training data, and reconstruction is measured on images that no training saw."
        why = (
            f"The scores would say how well '{name}' reconstructs images that it may have been trained on; "
            "a set's distance to training data and to held-out data are different quantities."
        )
    else:
        what = f"{data} is held out for reconstruction, and not what '{name}' learned to imitate."
        why = (
            "Generated images are compared with the training data; the few held-out images raise every "
            "distance, and the scores compare with none that used the usual reference."
        )
    if forced:
        return f"Forced: {what} {why}"
    use = f"Use {better}, or measure" if better else "Measure"
    raise UserError(what, why=why, hint=f"{use} it all the same with --force-reference.")


def _role_of(data: str, purpose: Role) -> tuple[str, str]:
    """Return what data are for, and the name of those that serve ``purpose`` instead; empty where unknown."""
    from dar_bench.references.cards import cards

    card = cards().get(data)
    if card is not None:
        others = (one for one in cards().values() if one.role == purpose and one.size == card.size)
        family = card.name.partition("-")[0]
        return card.role, next((one.name for one in others if one.name.partition("-")[0] == family), "")
    dataset_name, _, split = data.partition(":")
    dataset = next((one for one in registry().datasets() if one.name == dataset_name), None)
    if dataset is None:
        return "", ""
    better = next((f"{dataset.name}:{other}" for other, use in dataset.role.items() if use == purpose), "")
    return dataset.role.get(split, ""), better


def held_out_data() -> str:
    """Return the first split of a shipped data set that is held out for reconstruction (``emoji64:val``).

    Raises:
        UserError: no installed plugin ships one.
    """
    for dataset in registry().datasets():
        for split, role in dataset.role.items():
            if role == "reconstruction":
                return f"{dataset.name}:{split}"
    raise UserError("No installed plugin ships held-out images.", hint="Name your own with --data.")


def reference_name(card: GeneratorCard, given: str | None) -> str:
    """Return the reference set of a generation measurement: the user's, or the one that the card names.

    Raises:
        UserError: neither names one.
    """
    if given or card.reference:
        return given or card.reference
    raise UserError(
        f"'{card.name}' names no reference set.", hint="Give the data to compare with: --reference DATA."
    )


def choose_labels(
    policy: str | None, source: ImageSource | None, card: GeneratorCard, count: int, seed: int
) -> tuple[Policy, list[int]]:
    """Return the policy and the label of every sample.

    Args:
        policy: the user's; ``None`` takes ``reference`` where the reference set has labels that the model
            knows, else ``balanced``. Distances mean little between sets of other class shares.
        source: the reference set; ``None`` where it is statistics alone.

    Raises:
        UserError: the policy is ``reference`` and the set has no such labels.
    """
    labels = np.empty(0, dtype=np.int64) if source is None else source.labels()
    if policy is None:
        policy = "reference" if serves(labels, card.num_classes) else "balanced"
    chosen = cast(Policy, policy)
    drawn = draw_labels(chosen, range(count), num_classes=card.num_classes, seed=seed, reference=labels)
    return chosen, drawn
