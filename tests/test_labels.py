from __future__ import annotations

import numpy as np
import pytest

from dar_bench.api import GeneratorCard, WeightsFile
from dar_bench.errors import UserError
from dar_bench.labels import Policy, class_name, draw_labels, parse_labels, slug

NAMES = ("Smileys & Emotion", "Food & Drink", "Flags")


def card(*names: str, classes: int = 3) -> GeneratorCard:
    return GeneratorCard(
        name="toy",
        family="diffusion",
        summary="",
        parameters=1,
        image_size=8,
        load="toy:load",
        weights=WeightsFile(filename=""),
        num_classes=classes,
        class_names=names,
    )


def test_numbers_and_names_in_the_order_given() -> None:
    assert parse_labels("2, flags,0,Food & Drink,smileys-emotion", card(*NAMES)) == [2, 2, 0, 1, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3", "Label 3 is out of range. 'toy' has 3 classes, numbered from 0 to 2."),
        ("-1", "Label -1 is out of range."),
        ("", "is no list of labels"),
        ("0,", "is no list of labels"),
        ("flag", "Did you mean 'flags'?"),
        ("zebra", "Its classes: smileys-emotion, food-drink, flags."),
        ("1.5", "has no class '1.5'"),
    ],
)
def test_what_is_no_class(text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_labels(text, card(*NAMES))
    assert message in str(caught.value)


def test_names_of_a_model_without_names() -> None:
    with pytest.raises(UserError, match="carries no class names. Give numbers from 0 to 999."):
        parse_labels("parrot", card(classes=1000))
    assert class_name(card(), 2) == "2"
    assert class_name(card(*NAMES), 2) == "Flags"
    assert slug("Smileys & Emotion") == "smileys-emotion"


def draw(policy: Policy, indices: range, seed: int = 0, reference: list[int] | None = None) -> list[int]:
    labels = None if reference is None else np.array(reference)
    return draw_labels(policy, indices, num_classes=5, seed=seed, reference=labels)


def test_balanced_goes_through_the_classes_in_turn() -> None:
    assert draw("balanced", range(3, 12)) == [3, 4, 0, 1, 2, 3, 4, 0, 1]


@pytest.mark.parametrize("policy", ["balanced", "uniform", "reference"])
def test_a_label_depends_on_seed_and_index_alone(policy: Policy) -> None:
    reference = [0, 1, 1, 4]
    whole = draw(policy, range(40), reference=reference)
    assert draw(policy, range(17, 23), reference=reference) == whole[17:23]
    assert policy == "balanced" or draw(policy, range(40), seed=1, reference=reference) != whole


def test_uniform_draws_every_class_as_often() -> None:
    counts = np.bincount(draw("uniform", range(2000)), minlength=5)
    # Six standard deviations of a binomial count with n = 2000 and p = 1/5.
    assert np.abs(counts - 400).max() < 6 * (2000 * 0.2 * 0.8) ** 0.5


def test_reference_draws_classes_by_their_share() -> None:
    counts = np.bincount(draw("reference", range(2000), reference=[0, 0, 0, 4]), minlength=5)
    assert counts[1:4].sum() == 0
    assert abs(counts[0] - 1500) < 6 * (2000 * 0.75 * 0.25) ** 0.5


@pytest.mark.parametrize("reference", [None, [], [-1, -1], [0, 5]])
def test_a_reference_that_does_not_know_the_classes(reference: list[int] | None) -> None:
    with pytest.raises(UserError, match="does not say which classes"):
        draw("reference", range(4), reference=reference)
