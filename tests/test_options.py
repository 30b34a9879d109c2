from __future__ import annotations

import pytest

from dar_bench.api import Card, Option, WeightsFile
from dar_bench.errors import UserError
from dar_bench.options import describe, parse_options
from dar_bench.sampling.guidance import parse_schedule

CARD = Card(
    name="toy",
    family="vanilla AR",
    summary="",
    parameters=1,
    image_size=8,
    load="toy:load",
    weights=WeightsFile(filename="toy.pt"),
    options=(
        Option(name="steps", type="int", default=8, help="", minimum=1, maximum=1000),
        Option(name="top-k", type="int", default=None, help="", minimum=1),
        Option(name="temperature", type="float", default=1.0, help="", minimum=0.0),
        Option(name="solver", type="str", default="adams2", help="", choices=("euler", "adams2")),
        Option(name="cfg", type="schedule", default="linear:1.1-8.0", help=""),
        Option(name="fast", type="bool", default=False, help=""),
    ),
)


def test_defaults_complete_what_is_given() -> None:
    values = parse_options(CARD, {"steps": "12"})
    assert values["cfg"].scales(5).tolist() == parse_schedule("linear:1.1-8.0").scales(5).tolist()
    del values["cfg"]
    assert values == {"steps": 12, "top-k": None, "temperature": 1.0, "solver": "adams2", "fast": False}


def test_every_type_is_parsed() -> None:
    texts = {"steps": " 3 ", "top-k": "50", "temperature": "0.7", "solver": "euler", "fast": "Yes"}
    values = parse_options(CARD, {**texts, "cfg": "1.5"})
    assert values.pop("cfg").scales(3).tolist() == [1.5, 1.5, 1.5]
    assert values == {"steps": 3, "top-k": 50, "temperature": 0.7, "solver": "euler", "fast": True}
    assert parse_options(CARD, {"top-k": "none", "fast": "off"})["top-k"] is None


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"step": "3"}, r"'toy' has no option 'step'\. Did you mean 'steps'\?"),
        ({"zzz": "3"}, r"It takes: cfg, fast, solver, steps, temperature, top-k\."),
        ({"steps": "2.5"}, "'2.5' is not a value for the option 'steps'. It must be a whole number."),
        ({"steps": "0"}, "from 1 to 1000"),
        ({"steps": "1001"}, "from 1 to 1000"),
        ({"steps": "none"}, "a whole number"),
        ({"top-k": "0"}, "at least 1"),
        ({"temperature": "-0.1"}, "at least 0"),
        ({"temperature": "nan"}, "a finite number"),
        ({"temperature": "warm"}, "It must be a number"),
        ({"solver": "eulr"}, r"one of: euler, adams2\. Did you mean 'euler'\?"),
        ({"fast": "maybe"}, "true or false"),
        ({"cfg": "linear:1.1"}, "linear"),
    ],
)
def test_mistakes_are_named(texts: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_options(CARD, texts)


def test_descriptions() -> None:
    assert [describe(option) for option in CARD.options] == [
        "integer, from 1 to 1000",
        "integer, at least 1",
        "number, at least 0",
        "one of euler, adams2",
        "schedule",
        "true or false",
    ]
