"""Which data serve which measurement: defaults, classes to generate, and warnings where a choice misleads."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from dar_bench.api import GeneratorCard
from dar_bench.errors import UserError
from dar_bench.labels import Policy, draw_labels, serves
from dar_bench.plugins import registry

if TYPE_CHECKING:
    from dar_bench.data import ImageSource


def role_warning(data: str, purpose: str, name: str) -> str:
    """Return a warning where a shipped data set's split is not meant for a measurement, else ``""``.

    Args:
        data: what the user called the data (``emoji64:train``).
        purpose: ``reconstruction`` (needs images that no training saw) or ``generation`` (compares with the
            training data).
        name: the model's.
    """
    dataset_name, _, split = data.partition(":")
    dataset = next((one for one in registry().datasets() if one.name == dataset_name), None)
    role = dataset.role.get(split, "") if dataset else ""
    if dataset is None or role in ("", purpose):
        return ""
    better = next((f"{dataset.name}:{other}" for other, use in dataset.role.items() if use == purpose), "")
    use = f" Use {better}." if better else ""
    if purpose == "reconstruction":
        return (
            f"Warning: {data} is training data of the models shipped with it. The scores say how well "
            f"'{name}' reconstructs images it may have been trained on, not new ones.{use}"
        )
    return (
        f"Warning: {data} is held out for reconstruction and not what '{name}' learned to imitate. Its few "
        f"images raise every distance; these scores compare with none that used the usual reference.{use}"
    )


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
    policy: str | None, source: ImageSource, card: GeneratorCard, count: int, seed: int
) -> tuple[Policy, list[int]]:
    """Return the policy and the label of every sample.

    Args:
        policy: the user's; ``None`` takes ``reference`` where the reference set has labels that the model
            knows, else ``balanced``. Distances mean little between sets of other class shares.
        source: the reference set.

    Raises:
        UserError: the policy is ``reference`` and the set has no such labels.
    """
    labels = source.labels()
    if policy is None:
        policy = "reference" if serves(labels, card.num_classes) else "balanced"
    chosen = cast(Policy, policy)
    drawn = draw_labels(chosen, range(count), num_classes=card.num_classes, seed=seed, reference=labels)
    return chosen, drawn
