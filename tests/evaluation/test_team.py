"""Several processes make or reconstruct the batches of one run: the same, in the same order, as one process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dar_bench.errors import UserError
from dar_bench.evaluation.team import join_team
from dar_bench.runs.processes import Processes

PROGRAM = """
import sys
import numpy as np, torch
from dar_bench.api import GeneratedBatch
from dar_bench.evaluation.measuring import Stopwatch
from dar_bench.evaluation.team import extracted_batches, join_team
from dar_bench.features.base import FeatureParts, Features
from dar_bench.generation import GenerationRun

class Toy:
    name = "toy"
    made = 0
    def fingerprint(self): return "toy"
    def extract(self, images):
        pool = images.float().mean(dim=(2, 3)).numpy()
        return Features(pool=pool, probabilities=None, extractor="toy", fingerprint="toy")
    def generate(self, labels, keys, options, *, previews, prefix):
        Toy.made += len(labels)
        values = [np.random.default_rng((keys.seed, i)).integers(0, 256, (3, 4, 4), dtype=np.uint8)
                  for i in keys.indices]
        images = torch.from_numpy(np.stack(values))
        yield GeneratedBatch(indices=keys.indices, labels=labels, images=images)

team, toy = join_team(), Toy()
run = GenerationRun(labels=list(range(23)), seed=5, options={}, batch_size=4)
parts, indices = FeatureParts(), []
for batch, features in extracted_batches(team, toy, run, [toy], Stopwatch()):
    parts.add(features["toy"])
    indices += batch.indices
if team.is_main:
    np.savez(sys.argv[1], pool=parts.join().pool, indices=indices, made=Toy.made)
else:
    assert not indices
"""


RECONSTRUCTION = """
import sys, types
import numpy as np, torch
from dar_bench.api import LoadOptions
from dar_bench.data import open_source
from dar_bench.evaluation.measuring import assist_reconstruction, measure_reconstruction
from dar_bench.evaluation.scoring import only
from dar_bench.evaluation.team import join_team
from dar_bench.evaluators.embedded import EmbeddedEvaluator
from dar_bench.features import efficientnet
from dar_bench.features.base import Features
from dar_bench.loading import LoadedTokenizer
from dar_bench.reconstruction import ReconstructionRun

class Toy:
    name = "toy"
    card = types.SimpleNamespace(name="toy", image_size=16)
    encoded = []
    def __init__(self, device="cpu"): pass
    def fingerprint(self): return "toy"
    def extract(self, images):
        pool = images.float().mean(dim=(2, 3)).numpy()
        return Features(pool=pool, probabilities=None, extractor="toy", fingerprint="toy")
    def encode(self, images):
        self.encoded.append(len(images))
        return images.flatten(1)[:, :4].long()
    def decode(self, codes, keys, options):
        noise = [np.random.default_rng((keys.seed, i)).integers(0, 256, (3, 16, 16), dtype=np.uint8)
                 for i in keys.indices]
        return torch.from_numpy(np.stack(noise)) // 2 + codes[:, :1, None, None].to(torch.uint8) // 2

efficientnet.EfficientNetLite0 = Toy
team, toy = join_team(), Toy()
loaded = LoadedTokenizer(card=toy.card, model=toy, weights_sha256="", options=LoadOptions())
run = ReconstructionRun(source=open_source(sys.argv[2]), seed=5, options={}, batch_size=4)
panel = only(EmbeddedEvaluator())
if team.is_main:
    done = []
    found = measure_reconstruction(loaded, run, panel, team=team, on_images=done.append)
    (result,) = found.results
    scores = [score.model_dump_json() for score in result.scores]
    # One image more was made apart, to count its cost.
    np.savez(sys.argv[1], scores=scores, sketch=found.sketch(result).digest(), samples=found.samples,
             reference=result.reference.fingerprint, done=done, made=sum(Toy.encoded) - 1)
else:
    assist_reconstruction(loaded, run, panel, team)
"""


def launch(size: int, out: Path, program: str = PROGRAM, *arguments: str) -> dict[str, np.ndarray]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(out), *arguments],
            env=os.environ
            | {"OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            | {"RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": str(rank)},
        )
        for rank in range(size)
    ]
    assert [process.wait(timeout=240) for process in running] == [0] * size
    with np.load(out) as found:
        return dict(found)


def test_three_processes_are_as_one(tmp_path: Path) -> None:
    alone, shared = launch(1, tmp_path / "alone.npz"), launch(3, tmp_path / "shared.npz")
    assert shared["indices"].tolist() == alone["indices"].tolist() == list(range(23))
    np.testing.assert_array_equal(shared["pool"], alone["pool"])
    # Six batches: the first process made the first and the fourth.
    assert (int(alone["made"]), int(shared["made"])) == (23, 8)


def test_two_processes_reconstruct_as_one(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (23, 16, 16, 3), dtype=np.uint8)
    np.savez(tmp_path / "images.npz", pixels)
    images = str(tmp_path / "images.npz")
    alone = launch(1, tmp_path / "alone.npz", RECONSTRUCTION, images)
    shared = launch(2, tmp_path / "shared.npz", RECONSTRUCTION, images)
    assert len(alone["scores"]) == 3, "a distance, PSNR and SSIM"
    for name in ("scores", "sketch", "samples", "reference", "done"):
        np.testing.assert_array_equal(shared[name], alone[name])
    assert shared["done"].tolist() == [4, 4, 4, 4, 4, 3]
    # Six batches: the first process made the first, the third and the fifth.
    assert (int(alone["made"]), int(shared["made"])) == (23, 12)


@pytest.mark.parametrize(("rank", "size"), [("2", "2"), ("one", "2"), ("0", "0")])
def test_variables_that_make_no_sense_are_told(rank: str, size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", size)
    with pytest.raises(UserError, match="makes no sense"):
        join_team()


def test_without_a_launcher_one_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert join_team() == Processes(0, 1)
    assert join_team().is_main and join_team().device("auto") == "auto"
