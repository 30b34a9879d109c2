from __future__ import annotations

from pathlib import Path

import pytest

from dar_bench.checks.specification import read_checks
from dar_bench.errors import UserError

GOOD = '[[check]]\nname = "a"\nexpect = "x"\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "checks.toml"
    path.write_text(text)
    return path


def test_a_check_needs_a_name_and_what_it_expects(tmp_path: Path) -> None:
    more = 'standard-errors = 2\nsame-samples = true\noptions = { cfg = "2.0", steps = 4 }\nscores = ["FD"]\n'
    (one,) = read_checks(write(tmp_path, GOOD + more))
    assert (one.name, one.expect, one.standard_errors, one.same_samples) == ("a", "x", 2.0, True)
    assert one.options == {"cfg": "2.0", "steps": 4} and one.scores == ["FD"] and not one.optional
    (plain,) = read_checks(write(tmp_path, GOOD))
    assert plain.standard_errors == 3.0 and plain.model is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[check]\n", "is not TOML"),
        ("", "holds no check"),
        ('name = "a"\n', "holds 'name' where only"),
        ("check = 3\n", "where only"),
        ('[[check]]\nname = "a"\n', r"Check 1 \('a'\) .*: expect: Field required"),
        (GOOD + "standard-error = 2\n", "Did you mean 'standard-errors'"),
        (GOOD + "standard-errors = 0\n", "standard-errors: Input should be greater than 0"),
        (GOOD + 'samples = "many"\n', "samples: Input should be a valid integer"),
        (GOOD + 'optional = "no"\n', "optional: Input should be a valid boolean"),
        (GOOD + GOOD, "two checks called 'a'"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_checks(write(tmp_path, text))


def test_checks_are_chosen_by_name(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + GOOD.replace('"a"', '"bee"'))
    assert [one.name for one in read_checks(path, ("bee",))] == ["bee"]
    with pytest.raises(UserError, match="Did you mean 'bee'"):
        read_checks(path, ("be",))
    with pytest.raises(UserError, match="no file of checks"):
        read_checks(tmp_path / "none.toml")
