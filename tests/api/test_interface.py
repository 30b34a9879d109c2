"""The plugin interface changes only together with the changelog."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
from pathlib import Path

import describe_interface
import pytest
from describe_interface import SNAPSHOT, accept, changelog, digest, history, interface

from dar_bench import api

HINT = 'Write a line into CHANGELOG.md, then run: python tests/api/describe_interface.py "that line"'


def test_the_interface_is_the_accepted_one() -> None:
    difference = difflib.unified_diff(
        SNAPSHOT.read_text().splitlines(), interface().splitlines(), "accepted", "now", lineterm="", n=1
    )
    assert interface() == SNAPSHOT.read_text(), "\n".join([*difference, HINT])


def test_the_changelog_names_every_accepted_change() -> None:
    assert history()[-1][0] == digest(), HINT
    words = [text for _, text in history()]
    assert len(set(words)) == len(words)
    assert [text for text in words if text not in changelog()] == []


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small project with an interface, a changelog, and one accepted change."""
    (tmp_path / "api.py").write_text("class Card:\n    name: str\n    _own = 1\n")
    (tmp_path / "CHANGELOG.md").write_text("- Cards have a\n  name.\n- Cards have a size.\n")
    monkeypatch.setattr(describe_interface, "ROOT", tmp_path)
    monkeypatch.setattr(describe_interface, "MODULES", ("api.py",))
    monkeypatch.setattr(describe_interface, "SNAPSHOT", tmp_path / "interface.txt")
    monkeypatch.setattr(describe_interface, "HISTORY", tmp_path / "history.txt")
    accept("Cards have a name.")
    return tmp_path


def test_a_change_needs_words_of_its_own_in_the_changelog(elsewhere: Path) -> None:
    assert (elsewhere / "interface.txt").read_text() == "module api\n\nclass Card()\n    name: str\n"
    before = digest()
    (elsewhere / "api.py").write_text("class Card:\n    name: str\n    size: int = 0\n")
    assert digest() != before
    with pytest.raises(SystemExit, match="does not say 'Cards have a colour.'"):
        accept("Cards have a colour.")
    with pytest.raises(SystemExit, match="too short"):
        accept("size.")
    with pytest.raises(SystemExit, match="recorded under 'Cards have a name.' already"):
        accept("Cards have a name.")
    assert history()[-1][0] == before
    accept("Cards have a size.")
    assert [text for _, text in history()] == ["Cards have a name.", "Cards have a size."]


def test_docstrings_and_private_names_may_change(elsewhere: Path) -> None:
    before = digest()
    (elsewhere / "api.py").write_text('class Card:\n    """A card."""\n\n    name: str\n    _other = 2\n')
    assert digest() == before


def public() -> list[tuple[str, object]]:
    return [
        (name, value)
        for name, value in vars(api).items()
        if not name.startswith("_") and inspect.isclass(value) and value.__module__ == api.__name__
    ]


@pytest.mark.parametrize(
    ("name", "value"), public(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_class_is_documented_with_its_fields_and_methods(name: str, value: type) -> None:
    text = inspect.getdoc(value) or ""
    assert text
    if dataclasses.is_dataclass(value):
        assert inspect.getdoc(value) != f"{name}{inspect.signature(value)}", "only the generated docstring"
    for method, function in vars(value).items():
        if inspect.isfunction(function) and not method.startswith("_"):
            assert inspect.getdoc(function), f"{name}.{method}"


@pytest.mark.parametrize(
    "field",
    [
        field
        for card in (api.TokenizerCard, api.GeneratorCard, api.Option, api.Plugin, api.CommandSpec)
        for field in dataclasses.fields(card)
    ],
    ids=lambda field: field.name,
)
def test_new_fields_have_defaults(field: dataclasses.Field[object]) -> None:
    # What existed before version 1 may be demanded; everything since must leave older plugins working.
    demanded = {
        *(
            "name",
            "family",
            "summary",
            "parameters",
            "image_size",
            "load",
            "weights",
            "num_classes",
            "tokens",
        ),
        *("codebook_size", "type", "default", "help", "group", "target"),
    }
    has_default = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
    assert has_default or field.name in demanded
