"""Defaults and warnings that rest on what shipped data are for."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dar_bench.api import LoadOptions
from dar_bench.data import open_source
from dar_bench.errors import UserError
from dar_bench.loading import generator_card, load_generator
from dar_bench.options import parse_options
from dar_bench.recording import plain_options, portable_name
from dar_bench.roles import check_role, choose_labels, held_out_data, reference_name

pytestmark = pytest.mark.usefixtures("zoo")


def test_the_default_data_are_those_that_ship_for_it() -> None:
    assert held_out_data() == "emoji64:val"
    assert reference_name(generator_card("small"), None) == "dots:train"
    assert reference_name(generator_card("small"), "other.npz") == "other.npz"


def test_the_wrong_split_is_refused_and_only_that() -> None:
    assert check_role("dots:val", "reconstruction", "m") == ""
    assert check_role("dots:train", "generation", "m") == ""
    assert check_role("/data/dots", "reconstruction", "m") == ""
    with pytest.raises(UserError, match=r"Use dots:val, or .*--force-reference"):
        check_role("dots:train", "reconstruction", "m")
    with pytest.raises(UserError, match="Use dots:train, or"):
        check_role("dots:val", "generation", "m")
    assert check_role("dots:val", "generation", "m", forced=True).startswith("Forced: dots:val is held out")


def test_cards_of_references_have_roles_too() -> None:
    assert check_role("adm-imagenet256", "generation", "m") == ""
    with pytest.raises(UserError, match="adm-imagenet256 is training data"):
        check_role("adm-imagenet256", "reconstruction", "m")
    with pytest.raises(UserError, match="Use emoji64-train, or"):
        check_role("emoji64-val", "generation", "m")


def test_labels_follow_the_reference_where_it_has_them() -> None:
    card = generator_card("small")
    policy, labels = choose_labels(None, open_source("dots:train"), card, 30, seed=1)
    assert policy == "reference"
    assert set(labels) == {0, 1, 2}
    np.savez("plain.npz", np.zeros((4, 8, 8, 3), np.uint8))
    assert choose_labels(None, open_source("plain.npz"), card, 4, seed=1) == ("balanced", [0, 1, 2, 0])
    with pytest.raises(UserError, match="does not say which classes"):
        choose_labels("reference", open_source("plain.npz"), card, 4, seed=1)


def test_schedules_become_the_text_that_they_were_written_as() -> None:
    options = parse_options(generator_card("small"), {"cfg": "power:1.5-4.0:2.0", "steps": "3"})
    plain = plain_options(options)
    assert plain["cfg"] == "power:1.5-4.0:2.0"
    assert plain["steps"] == 3
    assert (
        parse_options(generator_card("small"), {name: str(value) for name, value in plain.items()}) == options
    )


def test_a_record_names_no_private_folder() -> None:
    card = dataclasses.replace(generator_card("small"), name="/home/someone/runs/mine")
    assert portable_name(card) == "mine"
    assert portable_name(generator_card("small")) == "small"


def test_a_generator_comes_with_its_tokenizer_loaded_once() -> None:
    loaded = load_generator(generator_card("small"), LoadOptions())
    assert loaded.tokenizer is not None
    assert loaded.tokenizer.model is loaded.model.tokenizer  # type: ignore[attr-defined]
