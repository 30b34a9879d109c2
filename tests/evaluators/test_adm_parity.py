"""The two ways to ADM's scores, TensorFlow and torch, on one network and the same images."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch.nn import functional as F

from dar_bench import weights
from dar_bench.evaluators.adm import AdmEvaluator
from dar_bench.evaluators.base import Evaluator, Side
from dar_bench.evaluators.native import NativeEvaluator, bfloat16, precise
from dar_bench.features.base import Features
from dar_bench.features.cards import INCEPTION
from dar_bench.features.inception_weights import read_weights
from dar_bench.metrics.moments import gaussian
from dar_bench.nn.inception import Inception, resize_tf1
from dar_bench.results.record import Score

SIZES = ((32, 32), (64, 64), (256, 256), (299, 299), (75, 131))
BY_HAND = Path(__file__).with_name("adm_by_hand.py")
COUNT = 16


def pictures(count: int, height: int, width: int, seed: int) -> torch.Tensor:
    """Coarse colours under fine noise, uint8 (n, 3, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 5, 5, generator=generator) * 255
    smooth = F.interpolate(coarse, size=(height, width), mode="bilinear")
    return (smooth + 25 * torch.randn(smooth.shape, generator=generator)).clamp(0, 255).byte()


IMAGES = {f"{height}x{width}": pictures(1, height, width, seed) for seed, (height, width) in enumerate(SIZES)}
IMAGES["reference"] = pictures(COUNT, 32, 32, 10)
IMAGES["samples"] = pictures(COUNT, 32, 32, 11)


@pytest.fixture(scope="module")
def expected(inception_files, tmp_path_factory: pytest.TempPathFactory) -> dict[str, npt.NDArray[np.generic]]:
    folder = tmp_path_factory.mktemp("by-hand")
    given = {
        f"images_{key}": images.permute(0, 2, 3, 1).numpy()
        for key, images in IMAGES.items()
        if key != "reference"
    }
    np.savez(folder / "in.npz", **given)
    ran = subprocess.run(
        [sys.executable, BY_HAND, folder / "in.npz", inception_files.pb, folder / "out.npz"],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    return dict(np.load(folder / "out.npz"))


@pytest.fixture(scope="module")
def home(inception_files, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store that holds the network, both forms."""
    folder = tmp_path_factory.mktemp("inception-home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAR_BENCH_HOME", str(folder))
        weights.import_file(INCEPTION, inception_files.pb, trust=True)
    return folder


@pytest.fixture(autouse=True)
def use_it(home: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAR_BENCH_HOME", str(home))


@pytest.fixture(scope="module")
def network(inception_files) -> Inception:
    return Inception(read_weights(inception_files.pth))


@pytest.mark.parametrize("size", [f"{height}x{width}" for height, width in SIZES])
def test_torch_has_the_graphs_features(
    size: str, network: Inception, expected: dict[str, npt.NDArray[np.generic]]
) -> None:
    with torch.inference_mode():
        resized = resize_tf1(IMAGES[size].float())
        pool, spatial = network(resized)
        logits = network.logits(pool)
    normalised = ((resized - 128) * 0.0078125).permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(normalised, expected[f"resized_{size}"])
    # Float32 sums in another order, through 94 layers; TensorFlow differs from itself (oneDNN on or off) by 6e-5.
    assert np.abs(pool.numpy() - expected[f"pool_{size}"]).max() < 5e-4
    assert np.abs(spatial.numpy() - expected[f"spatial_{size}"]).max() < 5e-4
    assert np.abs(logits.numpy() - expected[f"logits_{size}"]).max() < 2e-3
    assert spatial.shape == (1, 2023) and pool.numpy().std() > 0.05


def sides(evaluator: Evaluator) -> tuple[Side, Side]:
    def side(name: str) -> Side:
        features = evaluator.extractor.extract(IMAGES[name])
        return Side(name=name, fingerprint=name, features=features, count=COUNT)

    return side("reference"), side("samples")


@pytest.fixture(scope="module")
def scored(home: Path, expected: dict[str, npt.NDArray[np.generic]]) -> dict[str, tuple[Side, list[Score]]]:
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAR_BENCH_HOME", str(home))
        for evaluator in (NativeEvaluator(), AdmEvaluator()):
            reference, samples = sides(evaluator)
            found[evaluator.name] = (samples, evaluator.score_generation(reference, samples))
            reconstruction = evaluator.score_reconstruction(reference, samples)
            found[f"{evaluator.name}-r"] = (reference, reconstruction)
    return found


def test_the_process_returns_what_the_graph_computes(scored, expected) -> None:
    samples, _ = scored["adm"]
    features: Features = samples.features
    # One graph, one library: only its own choice of threads may differ.
    np.testing.assert_allclose(features.pool, expected["pool_samples"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(features.spatial, expected["spatial_samples"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(features.probabilities, expected["softmax_samples"], rtol=0, atol=1e-4)


def test_both_evaluators_print_the_same_scores(scored) -> None:
    native, adm = ({score.name: score for score in scored[name][1]} for name in ("native", "adm"))
    names = ["FID", "sFID", "IS", "precision", "recall", "IS-one-split", "density", "coverage", "KD"]
    assert list(native) == list(adm) == names
    assert native["FID"].value == pytest.approx(adm["FID"].value, rel=1e-4)
    assert native["sFID"].value == pytest.approx(adm["sFID"].value, rel=1e-4)
    assert native["IS"].value == pytest.approx(adm["IS"].value, rel=1e-5)
    for name in ("precision", "recall"):
        assert abs(native[name].value - adm[name].value) <= 1.01 / COUNT
    assert native["FID"].value > 0.1 and native["IS"].value > 1.05
    for score in (*native.values(), *adm.values()):
        assert "not known to be the published one (--trust)" in score.note
        assert score.stderr is not None or score.interval is not None
    assert "adm-float16" in native["precision"].protocol and "float32-means" in native["FID"].protocol
    assert "16 images for 2048 features" in native["FID"].note
    for name in ("native-r", "adm-r"):
        reconstruction = scored[name][1]
        assert [score.name for score in reconstruction] == ["rFID", "rsFID"]
        assert reconstruction[0].value == pytest.approx(native["FID"].value, rel=1e-4)


def test_modes_are_labelled_and_precise_is_exact(scored) -> None:
    evaluator = precise()
    samples, scores = scored["native"]
    reference = scored["native-r"][0]
    exact = {score.name: score for score in evaluator.score_generation(reference, samples)}
    plain = {score.name: score for score in scores}
    assert exact["FID"].value == pytest.approx(plain["FID"].value, rel=1e-4)
    assert exact.keys() == plain.keys()
    assert all(exact[name].protocol != plain[name].protocol for name in exact)
    assert evaluator.fingerprint().neighbours == "k=3;squared<=;float32"
    assert NativeEvaluator().fingerprint().neighbours == "k=3;squared<=;float16"
    assert not evaluator.fingerprint().trusted
    # One extractor, so that one pass over images serves both.
    assert evaluator.extractor.fingerprint() == samples.features.fingerprint


def test_statistics_are_used_in_place_of_images(scored) -> None:
    evaluator = NativeEvaluator()
    samples, _ = scored["native"]
    reference = scored["native-r"][0]
    statistics = {"pool": gaussian(samples.features.pool), "spatial": gaussian(samples.features.spatial)}
    alone = Side(name="file", fingerprint="", features=None, statistics=statistics, count=COUNT)
    scores = {score.name: score.value for score in evaluator.score_generation(alone, samples)}
    assert list(scores) == ["FID", "sFID", "IS", "IS-one-split"]
    assert scores["FID"] == pytest.approx(0.0, abs=1e-4)
    both = Side(name="file", fingerprint="", features=reference.features, statistics=statistics, count=COUNT)
    mixed = {score.name: score.value for score in evaluator.score_generation(both, samples)}
    assert mixed["FID"] == scores["FID"] and {"precision", "recall", "KD"} < mixed.keys()


def test_the_fast_precision_tells_what_it_changed() -> None:
    evaluator = bfloat16()
    assert "not measured" in evaluator.extractor.precision_note()
    features = evaluator.extractor.extract(IMAGES["reference"][:2])
    note = evaluator.extractor.precision_note()
    assert "on the first 2 images they differ from float32 by up to" in note and "Frechet distance" in note
    exact = NativeEvaluator().extractor.extract(IMAGES["reference"][:2])
    error = float(np.abs(exact.pool - features.pool).max())
    assert f"{error:.1e}" in note and 1e-4 < error < 1.0
    assert features.fingerprint != exact.fingerprint
