from __future__ import annotations

import pytest

from dar_bench.wording import counted, first_sentence


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 images"), (1, "1 image"), (2, "2 images"), (50_000, "50,000 images")]
)
def test_counts_agree_with_their_noun(count: int, text: str) -> None:
    assert counted(count, "image") == text


def test_the_first_sentence_ends_with_a_full_stop_before_a_space() -> None:
    assert first_sentence("The package x 1.2 is not here. Install it.") == "The package x 1.2 is not here."
    assert first_sentence("One sentence.") == "One sentence."
