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
from dar_bench.roles import choose_labels, held_out_data, reference_name, role_warning

pytestmark = pytest.mark.usefixtures("zoo")


def test_the_default_data_are_those_that_ship_for_it() -> None:
    assert held_out_data() == "emoji64:val"
    assert reference_name(generator_card("small"), None) == "dots:train"
    assert reference_name(generator_card("small"), "other.npz") == "other.npz"


def test_warnings_are_for_the_wrong_split_alone() -> None:
    assert role_warning("dots:val", "reconstruction", "m") == ""
    assert role_warning("dots:train", "generation", "m") == ""
    assert role_warning("/data/dots", "reconstruction", "m") == ""
    assert "Use dots:val." in role_warning("dots:train", "reconstruction", "m")
    assert "Use dots:train." in role_warning("dots:val", "generation", "m")


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
