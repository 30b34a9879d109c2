"""torch-fidelity and clean-fid: our evaluators beside the packages themselves, on the same files and weights."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from dar_bench.data import open_source
from dar_bench.errors import UserError
from dar_bench.evaluation.extraction import as_they_are, sides
from dar_bench.evaluators import clean_fid as ours_clean
from dar_bench.evaluators.base import Evaluator, Side
from dar_bench.evaluators.names import load_evaluator
from dar_bench.features import inception_store
from dar_bench.features.base import extract_all
from dar_bench.features.cards import INCEPTION

COUNT = 16
"""As few as every evaluator takes: each image goes through eight networks here."""

_SIDES: dict[tuple[str, Path], Side] = {}


@pytest.fixture(scope="module")
def module_store(tmp_path_factory: pytest.TempPathFactory, inception_files: Any) -> Iterator[Path]:
    """A store with the random network in it, made once."""
    folder = tmp_path_factory.mktemp("peers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAR_BENCH_HOME", str(folder))
        inception_store.import_file(INCEPTION, inception_files.pth, trust=True)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def inception(module_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAR_BENCH_HOME", str(module_store))
    return inception_store.stored().tensors


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two folders of smooth pictures of 48 px, which differ in their colours."""
    made = []
    for seed, shift in ((0, 0), (1, 60)):
        folder = tmp_path_factory.mktemp("pictures")
        random = np.random.default_rng(seed)
        for index in range(COUNT):
            coarse = random.integers(0, 196, (6, 6, 3)).astype(np.uint8) + np.uint8(shift)
            Image.fromarray(coarse).resize((48, 48), Image.Resampling.BICUBIC).save(
                folder / f"{index:02d}.png"
            )
        made.append(folder)
    return made[0], made[1]


def side(evaluator: Evaluator, folder: Path) -> Side:
    """Return a folder's side, extracted once for all tests."""
    key = (evaluator.extractor.fingerprint(), folder)
    if key not in _SIDES:
        _SIDES[key] = extracted(evaluator, folder)
    return _SIDES[key]


def extracted(evaluator: Evaluator, folder: Path) -> Side:
    images = as_they_are(open_source(folder))
    features = extract_all(evaluator.extractor, images.batches(0, images.count))
    made = sides({features.fingerprint: features}, name="s", fingerprint="")[features.fingerprint]
    assert isinstance(made, Side)
    return made


def scores(evaluator: Evaluator, reference: Path, samples: Path) -> dict[str, float]:
    found = evaluator.score_generation(side(evaluator, reference), side(evaluator, samples))
    assert all(score.stderr is not None and score.protocol for score in found)
    assert all("Not the published Inception weights" in score.note for score in found)
    return {score.name: score.value for score in found}


def test_torch_fidelity_gives_the_packages_own_numbers(
    folders: tuple[Path, Path], inception: Path, inception_files: Any, tmp_path: Path
) -> None:
    from torch_fidelity import calculate_metrics

    reference, samples = folders
    torch.save(load_file(inception), tmp_path / "weights.pth")
    expected = calculate_metrics(
        input1=str(samples),
        input2=str(reference),
        cuda=False,
        isc=True,
        fid=True,
        kid=True,
        prc=True,
        kid_subset_size=COUNT,
        # Its default for precision and recall is a VGG network; on the Inception features they share one pass.
        feature_extractor="inception-v3-compat",
        feature_extractor_weights_path=str(tmp_path / "weights.pth"),
        batch_size=16,
        cache=False,
        # Without it the package forks loader processes beside running threads, which can hang.
        save_cpu_ram=True,
        verbose=False,
    )
    found = scores(load_evaluator("torch-fidelity"), reference, samples)
    # The same functions on features of the same network; what is left is the rounding of batches of another size.
    assert found["FID"] == pytest.approx(expected["frechet_inception_distance"], rel=1e-5)
    assert found["IS"] == pytest.approx(expected["inception_score_mean"], rel=1e-5)
    # All images are in every subset, so no two subsets differ.
    assert found["KID"] == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-3)
    assert found["precision"] == pytest.approx(expected["precision"], abs=1e-6)
    assert found["recall"] == pytest.approx(expected["recall"], abs=1e-6)


def test_torch_fidelity_takes_published_statistics(folders: tuple[Path, Path], inception: Path) -> None:
    from dar_bench.metrics.moments import gaussian

    evaluator = load_evaluator("torch-fidelity")
    reference, samples = (side(evaluator, folder) for folder in folders)
    assert reference.features is not None
    statistics = Side(
        name="s",
        fingerprint="",
        features=None,
        statistics={"pool": gaussian(reference.features.pool)},
        count=COUNT,
    )
    whole = {score.name: score.value for score in evaluator.score_generation(reference, samples)}
    alone = {score.name: score.value for score in evaluator.score_generation(statistics, samples)}
    assert list(alone) == ["FID", "IS"]
    # The package's covariance is of float64 sums as ours; eigenvalues of a product of low rank lose most digits.
    assert alone["FID"] == pytest.approx(whole["FID"], rel=1e-4)
    (rfid,) = evaluator.score_reconstruction(reference, samples)
    assert rfid.name == "rFID" and rfid.value == pytest.approx(whole["FID"], rel=1e-9)


def package_network(mode: str, inception: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    """The package's own network function, with our weights in the place of what it downloads."""
    from cleanfid import inception_pytorch
    from cleanfid.features import feature_extractor

    assert mode == "legacy_pytorch"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            inception_pytorch, "load_state_dict_from_url", lambda *a, **k: dict(load_file(inception))
        )
        network: Callable[[torch.Tensor], torch.Tensor] = feature_extractor(
            "pytorch_inception", torch.device("cpu"), use_dataparallel=False
        )
    return network


def port_network(mode: str, inception: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    """In the place of the TorchScript file, which the package downloads: torch-fidelity's network."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    path = inception.with_name("for-the-test.pth")
    torch.save(load_file(inception), path)
    network = FeatureExtractorInceptionV3("x", ["2048"], feature_extractor_weights_path=str(path))
    path.unlink()

    def run(images: torch.Tensor) -> torch.Tensor:
        if mode == "legacy_tensorflow":
            return network(images.round().to(torch.uint8))[0]
        # Resized already, to floats, which the network does not take: what it does behind its resizing.
        hidden = (images - 128) / 128
        for name, module in network.named_children():
            if name == "fc":
                break
            hidden = module(hidden)
        return hidden.flatten(1)

    return run


@pytest.mark.parametrize("mode", list(ours_clean.RESIZE))
def test_clean_fid_gives_the_packages_own_numbers(
    folders: tuple[Path, Path], inception: Path, mode: str
) -> None:
    from cleanfid.fid import compare_folders, kernel_distance

    reference, samples = folders
    make = package_network if mode == "legacy_pytorch" else port_network
    network = make(mode, inception)
    compare = partial(
        compare_folders,
        str(samples),
        str(reference),
        network,
        mode,
        device="cpu",
        verbose=False,
        batch_size=16,
    )
    expected = float(compare())
    evaluator = load_evaluator("clean-fid" if mode == "clean" else f"clean-fid:{mode}")
    fixed, drawn = (side(evaluator, folder) for folder in folders)
    found = {score.name: score.value for score in evaluator.score_generation(fixed, drawn)}
    # The package takes a matrix root below full rank, which is off by up to 1e-3 of the distance there; float32
    # features of two networks differ by 1e-5.
    assert found[f"FID[clean-fid:{mode}]"] == pytest.approx(expected, rel=2e-3)
    assert fixed.features is not None and drawn.features is not None
    np.random.seed(0)
    kid = kernel_distance(fixed.features.pool, drawn.features.pool)
    assert found[f"KID[clean-fid:{mode}]"] == kid


def test_the_three_modes_are_three_numbers(folders: tuple[Path, Path], inception: Path) -> None:
    names = ("clean-fid", "clean-fid:legacy_tensorflow", "clean-fid:legacy_pytorch")
    evaluators = [load_evaluator(name) for name in names]
    prints = [evaluator.fingerprint() for evaluator in evaluators]
    assert len({one.resize for one in prints}) == 3
    assert len({evaluator.extractor.fingerprint() for evaluator in evaluators}) == 3
    assert not any(one.trusted for one in prints)


def test_numpys_generator_is_left_as_it_was(folders: tuple[Path, Path], inception: Path) -> None:
    evaluator = load_evaluator("clean-fid")
    features = side(evaluator, folders[0])
    np.random.seed(5)
    expected = np.random.random()
    np.random.seed(5)
    first = evaluator.score_generation(features, features, seed=1)
    assert np.random.random() == expected
    assert evaluator.score_generation(features, features, seed=1) == first


@pytest.mark.parametrize(
    ("name", "package"), [("torch-fidelity", "torch_fidelity"), ("clean-fid", "cleanfid")]
)
def test_a_missing_package_and_missing_weights_say_what_to_do(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="weights fetch inception-2015-12-05"):
        load_evaluator(name)
    for module in [known for known in sys.modules if known.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=rf"pip install 'dar-bench\[{name}\]'"):
        load_evaluator(name)
