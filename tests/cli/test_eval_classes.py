"""``dar-bench eval classes`` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dar_bench.cli.main import run
from dar_bench.data import open_source
from dar_bench.evaluation.extraction import as_they_are, stored_features
from dar_bench.features.names import load_extractor
from dar_bench.metrics.frechet import frechet_distance


@pytest.fixture
def sets(tmp_path: Path) -> tuple[str, str]:
    """Three classes of eight images; in the samples class 1 is another texture, and class 2 has two images."""
    random = np.random.default_rng(0)
    labels = np.arange(24) % 3
    images = random.integers(0, 80, (24, 16, 16, 3)) + 50 * labels[:, None, None, None]
    np.savez(tmp_path / "reference.npz", images.astype(np.uint8), labels)
    drawn = random.integers(0, 80, (24, 16, 16, 3)) + 50 * labels[:, None, None, None]
    drawn[labels == 1] = random.integers(0, 2, (8, 16, 16, 3)) * 255
    kept = np.r_[np.flatnonzero(labels < 2), np.flatnonzero(labels == 2)[:2]]
    np.savez(tmp_path / "samples.npz", drawn[kept].astype(np.uint8), labels[kept])
    return str(tmp_path / "reference.npz"), str(tmp_path / "samples.npz")


def test_the_worst_class_comes_first(sets: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["eval", "classes", *sets, "--minimum", "4", "--device", "cpu"]
    assert run([*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["score"] == "FD[efficientnet-lite0]"
    assert [one["label"] for one in told["classes"]] == [1, 0]
    assert told["left_out"] == [{"label": 2, "name": "2", "reference": 8, "samples": 2}]
    extractor = load_extractor()
    pools = []
    for path in sets:
        source = open_source(path)
        features = stored_features([extractor], as_they_are(source))[extractor.fingerprint()]
        pools.append(features.pool[source.labels() == 0])
    expected = frechet_distance(*pools)
    assert told["classes"][1]["value"] == pytest.approx(expected, rel=1e-9)
    assert run(arguments) == 0
    printed = capsys.readouterr().out
    assert "Mean of 2 classes" in printed
    assert "Left out, reference and samples: class 2: 8 and 2" in printed


def test_wrong_use(sets: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["eval", "classes", *sets, "--device", "cpu"]) == 2
    assert "No class has 50 images on both sides" in capsys.readouterr().err
    np.savez(tmp_path / "bare.npz", np.zeros((4, 16, 16, 3), dtype=np.uint8))
    assert run(["eval", "classes", sets[0], str(tmp_path / "bare.npz"), "--device", "cpu"]) == 2
    assert "The samples have no labels" in capsys.readouterr().err
