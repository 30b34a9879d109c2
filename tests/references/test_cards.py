from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from dar_bench.errors import UserError
from dar_bench.references.cards import cards, cards_folder, find_card, read_card, reference_path


def test_every_card_says_what_it_is() -> None:
    assert {"adm-imagenet64", "adm-imagenet256", "adm-lsun-cat", "mar-imagenet256", "emoji64-val"} <= set(
        cards()
    )
    for card in cards().values():
        assert card.summary and card.split and card.license and card.note and card.size in (64, 128, 256, 512)
        assert bool(card.url) != bool(card.data)
        if card.url:
            assert card.url.startswith("https://") and card.url.endswith(".npz")
            assert {"mu", "sigma"} <= set(card.arrays) and card.extractor and card.resize and card.crop


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean 'adm-imagenet256'"):
        find_card("adm-imagenet265")


def test_a_reference_that_is_not_here_says_how_to_get_it() -> None:
    with pytest.raises(UserError, match="stats fetch adm-imagenet256"):
        reference_path(find_card("adm-imagenet256"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("summary = ", "Cannot read the reference card"),
        ('sumary = "x"', "Did you mean 'summary'"),
        ('summary = "x"', "incomplete"),
    ],
)
def test_malformed_cards_are_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(UserError, match=message):
        read_card(tmp_path / "mine.toml")


def test_a_wheel_carries_the_cards(tmp_path: Path) -> None:
    from hatchling.builders.wheel import WheelBuilder

    root = Path(__file__).parents[2]
    (wheel,) = WheelBuilder(str(root)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        packed = {Path(name).name for name in archive.namelist() if "reference_stats/" in name}
        assert "dar_bench/reference_stats/adm-imagenet256.toml" in archive.namelist()
    assert packed == {path.name for path in cards_folder().glob("*.toml")}
