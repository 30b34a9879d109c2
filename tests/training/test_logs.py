from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dar_bench.training.logs import MetricWindow, RunLog, image_grid


def test_every_entry_is_on_disk_at_once_and_has_no_nan(tmp_path: Path) -> None:
    log = RunLog(tmp_path, step=0)
    log.write("train", 5, {"loss": 0.5, "scale": float("nan")})
    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert entry.pop("time") > 0
    assert entry == {"kind": "train", "step": 5, "loss": 0.5, "scale": None}
    log.close()


def test_opening_cuts_back_to_the_checkpoint(tmp_path: Path) -> None:
    log = RunLog(tmp_path, step=0)
    for step in (1, 2, 3):
        log.write("train", step, {"loss": 0.0})
    log.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "train", "st')
    log = RunLog(tmp_path, step=2)
    log.write("train", 3, {"loss": 1.0})
    log.close()
    steps = [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3]


def test_tensorboard_holds_scalars_and_images(tmp_path: Path) -> None:
    log = RunLog(tmp_path, step=0)
    log.write("eval", 4, {"rfid": 7.5})
    log.images(4, {"samples": torch.zeros(2, 3, 4, 4, dtype=torch.uint8)})
    log.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("eval/rfid")] == [(4, 7.5)]
    assert events.Tags()["images"] == ["samples"]


def test_tensorboard_does_not_bring_tensorflow(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from dar_bench.training.logs import RunLog; "
        "log = RunLog(Path(sys.argv[1]), step=0); log.write('train', 1, {'loss': 1.0}); log.close(); "
        "print('tensorboard' in sys.modules, 'tensorflow' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True)
    assert ran.stdout.split() == ["True", "False"], ran.stderr


def test_image_grid_places_every_image(tmp_path: Path) -> None:
    images = torch.arange(5, dtype=torch.uint8).reshape(5, 1, 1, 1).expand(5, 3, 4, 6).contiguous()
    grid = image_grid(images)
    assert grid.shape == (3, 2 * 4 + 2, 3 * 6 + 2 * 2)
    for number in range(5):
        row, column = divmod(number, 3)
        assert (grid[:, row * 6 : row * 6 + 4, column * 8 : column * 8 + 6] == number).all()
    assert (grid[:, 6:, 16:] == 255).all()
    log = RunLog(tmp_path, step=0)
    log.images(7, {"samples": images})
    log.close()
    stored = np.asarray(Image.open(tmp_path / "images" / "samples-00000007.png"))
    assert np.array_equal(stored, grid.permute(1, 2, 0).numpy())


def test_window_goes_on_from_its_stored_sums() -> None:
    whole, first = MetricWindow(), MetricWindow()
    values = [torch.tensor(value) for value in (0.1, 0.7, 0.25)]
    for value in values:
        whole.add({"loss": value})
    first.add({"loss": values[0]})
    second = MetricWindow(json.loads(json.dumps(first.sums())))
    for value in values[1:]:
        second.add({"loss": value})
    assert second.means() == whole.means()
    assert abs(whole.means()["loss"] - 0.35) < 1e-7
