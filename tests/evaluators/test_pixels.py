"""Scores of image pairs: gathered as a stream, and what happens where some cannot be had."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from dar_bench.errors import UserError
from dar_bench.evaluators.pixels import PairScorer, optional_lpips
from dar_bench.metrics.reconstruction import psnr, ssim
from dar_bench.results.record import Score


def image_pairs(n: int, seed: int = 0) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    random = np.random.default_rng(seed)
    originals = random.integers(0, 256, (n, 3, 16, 16), dtype=np.uint8)
    noise = random.integers(-9, 10, originals.shape)
    return originals, np.clip(originals.astype(int) + noise, 0, 255).astype(np.uint8)


def by_name(scores: list[Score]) -> dict[str, Score]:
    return {score.name: score for score in scores}


def test_means_and_errors_over_the_pairs() -> None:
    originals, reconstructions = image_pairs(40)
    pairs = PairScorer()
    pairs.add(originals, reconstructions)
    scores = by_name(pairs.scores())
    assert list(scores) == ["PSNR", "SSIM"]
    assert scores["PSNR"].value == pytest.approx(float(psnr(originals, reconstructions).mean()))
    similarity = ssim(originals, reconstructions)
    assert scores["SSIM"].value == pytest.approx(float(similarity.mean()))
    assert scores["SSIM"].stderr == pytest.approx(float(similarity.std(ddof=1)) / np.sqrt(40))


def test_pairs_may_come_as_a_stream() -> None:
    originals, reconstructions = image_pairs(40)
    whole, parts = PairScorer(), PairScorer()
    whole.add(originals, reconstructions)
    for rows in (slice(0, 7), slice(7, 30), slice(30, 40)):
        parts.add(originals[rows], reconstructions[rows])
    assert len(parts) == 40
    assert parts.scores() == whole.scores()


def test_pairs_that_are_none_are_refused() -> None:
    with pytest.raises(UserError, match="0 pairs"):
        PairScorer().scores()


def test_identical_pairs_are_counted_and_capped() -> None:
    originals, reconstructions = image_pairs(20)
    reconstructions[:3] = originals[:3]
    pairs = PairScorer()
    pairs.add(originals, reconstructions)
    score = by_name(pairs.scores())["PSNR"]
    assert score.note.startswith("3 of 20 pairs are identical and count as 77.0 dB")
    finite = psnr(originals[3:], reconstructions[3:])
    cap = 10 * np.log10(255**2 * 3 * 16 * 16)
    assert score.value == pytest.approx((finite.sum() + 3 * cap) / 20)


def test_lpips_is_reported_as_missing_and_never_as_a_number(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path_factory.mktemp("empty")
    monkeypatch.setenv("DAR_BENCH_HOME", str(empty))
    monkeypatch.setenv("TORCH_HOME", str(empty))
    lpips, unavailable = optional_lpips()
    assert lpips is None
    assert list(unavailable) == ["LPIPS[alex]"]
    assert "not on this machine" in unavailable["LPIPS[alex]"]


def test_lpips_joins_the_scores_where_it_is_available() -> None:
    class Distance:
        backbone = "alex"
        weights_sha256 = "ab" * 32

        def distances(self, originals: object, reconstructions: object) -> npt.NDArray[np.float64]:
            return np.array([0.1, 0.3])

    originals, reconstructions = image_pairs(4)
    pairs = PairScorer(Distance())  # type: ignore[arg-type]
    pairs.add(originals[:2], reconstructions[:2])
    pairs.add(originals[2:], reconstructions[2:])
    score = by_name(pairs.scores())["LPIPS[alex]"]
    assert score.value == pytest.approx(0.2) and score.n == 4
    assert "sha256=abababababab" in score.protocol
