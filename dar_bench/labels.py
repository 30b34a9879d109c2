"""Classes of a generation run: from what the user writes, or drawn for every sample.

A drawn label depends on (run seed, sample index) alone, like everything else of a sample.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from dar_bench.api import GeneratorCard, SampleKeys
from dar_bench.errors import UserError, suggest

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

Policy = Literal["balanced", "uniform", "reference"]
POLICIES: tuple[Policy, ...] = ("balanced", "uniform", "reference")


def parse_labels(text: str, card: GeneratorCard) -> list[int]:
    """Read a comma-separated list of labels, each a number or a class name.

    Args:
        text: such as ``207,360`` or ``flags,food-drink``; names are compared without case and punctuation.
        card: the generator whose classes are meant.

    Raises:
        UserError: nothing is listed, a number is out of range, or a name is unknown.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise UserError(
            f"'{text}' is no list of labels.", hint="Separate labels by commas, for instance --labels 0,1,2."
        )
    return [_parse(part, card) for part in parts]


def check_labels(card: GeneratorCard, labels: torch.Tensor) -> None:
    """Refuse labels, int64 (B,), that a generator does not have.

    Raises:
        UserError: one is out of range.
    """
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= card.num_classes:
        raise UserError(
            f"Label {low if low < 0 else high} is out of range.",
            why=f"'{card.name}' has {card.num_classes} classes.",
            hint=f"Give labels from 0 to {card.num_classes - 1}.",
        )


def class_name(card: GeneratorCard, label: int) -> str:
    """Return the name of a class, or its number where the card carries no names."""
    return card.class_names[label] if label < len(card.class_names) else str(label)


def slug(name: str) -> str:
    """Return a class name as it stands in file names: lower case, words joined by dashes."""
    return "-".join(re.findall(r"[a-z0-9]+", name.lower()))


def draw_labels(
    policy: Policy,
    indices: Sequence[int],
    *,
    num_classes: int,
    seed: int,
    reference: NDArray[np.int64] | None = None,
) -> list[int]:
    """Return the label of every sample.

    Args:
        policy: ``balanced`` goes through the classes in turn; ``uniform`` draws every class with the same
            probability, ``reference`` with its share in the reference set.
        indices: the samples.
        num_classes: of the generator.
        seed: the run's.
        reference: labels of the reference set, for the policy of that name.

    Raises:
        UserError: the policy is ``reference`` and there are no labels that the generator knows.
    """
    from dar_bench.sampling.randomness import integers

    if policy == "balanced":
        return [index % num_classes for index in indices]
    keys = SampleKeys(seed=seed, indices=tuple(indices))
    if policy == "uniform":
        return [int(label) for label in integers(keys, "labels", 0, num_classes, 1)[:, 0]]
    if reference is None or not serves(reference, num_classes):
        raise UserError(
            "The reference set does not say which classes to generate.",
            why=f"Its images have no labels, or labels beyond the model's {num_classes} classes.",
            hint="Use --labels balanced or --labels uniform.",
        )
    rows = integers(keys, "labels", 0, len(reference), 1)[:, 0]
    return [int(label) for label in reference[rows]]


def serves(reference: NDArray[np.int64], num_classes: int) -> bool:
    """Tell whether a reference set's labels are all classes of a model."""
    return len(reference) > 0 and int(reference.min()) >= 0 and int(reference.max()) < num_classes


def _parse(text: str, card: GeneratorCard) -> int:
    if re.fullmatch(r"-?\d+", text):
        label = int(text)
        if 0 <= label < card.num_classes:
            return label
        raise UserError(
            f"Label {label} is out of range.",
            why=f"'{card.name}' has {card.num_classes} classes, numbered from 0 to {card.num_classes - 1}.",
        )
    by_slug = {slug(name): label for label, name in enumerate(card.class_names)}
    if slug(text) in by_slug:
        return by_slug[slug(text)]
    if not card.class_names:
        raise UserError(
            f"'{text}' is no label.",
            why=f"'{card.name}' carries no class names.",
            hint=f"Give numbers from 0 to {card.num_classes - 1}.",
        )
    raise UserError(
        f"'{card.name}' has no class '{text}'.",
        why=suggest(slug(text), by_slug) or f"Its classes: {', '.join(by_slug)}.",
        hint=f"Names and numbers from 0 to {card.num_classes - 1} serve.",
    )
