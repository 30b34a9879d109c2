from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from training_toy import ToyTask, recipe_of

from dar_bench.errors import UserError
from dar_bench.training import checkpoint
from dar_bench.training.loader import batches
from dar_bench.training.loop import train
from dar_bench.training.order import StepSampler
from dar_bench.training.schedules import ema_decay, learning_rate

UNTIMED = ("time", "images_per_second", "memory_gib")


def run(folder: Path, *, resume: bool = False, **sections: dict[str, Any]) -> dict[str, Tensor]:
    recipe = recipe_of(**sections)
    return train(ToyTask(recipe), recipe, folder, resume=resume).state_dict()


def entries(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in UNTIMED} for line in lines]


def states(folder: Path) -> dict[str, Any]:
    found = checkpoint.latest(folder / "checkpoints")
    assert found is not None
    return found.tensors()


def assert_same(one: Any, other: Any) -> None:
    """Exact equality, all the way down."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_same(left, right)
    elif isinstance(one, Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other


def test_the_loop_is_plain_training(tmp_path: Path) -> None:
    """The same computation written out: AdamW, clipping, schedule, EMA, one batch per step."""
    sections = {
        "train": {"steps": 6},
        "schedule": {"warmup_steps": 2, "kind": "linear"},
        "optimizer": {"lr": 0.01, "weight_decay": 0.1, "clip_norm": 0.5},
        "ema": {"decay": 0.5, "ramp": False},
    }
    averaged = run(tmp_path, **sections)
    recipe = recipe_of(**sections)
    task = ToyTask(recipe)
    sampler = StepSampler(count=37, seed=0, batch_size=8, micro_batch=0, start=0, steps=6)
    matrices = [p for p in task.module.parameters() if p.ndim == 2]
    vectors = [p for p in task.module.parameters() if p.ndim == 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
        betas=(0.9, 0.95),
    )
    average = {name: value.detach().clone() for name, value in task.module.named_parameters()}
    losses = []
    for step, batch in enumerate(batches(task.dataset, sampler, workers=0, device=torch.device("cpu"))):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, peak=0.01, schedule=recipe.schedule, total_steps=6)
        loss, _ = task.module(batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(task.module.parameters(), 0.5)
        optimizer.step()
        losses.append(loss.item())
        for name, value in task.module.named_parameters():
            average[name].lerp_(value.detach(), 1 - ema_decay(step, recipe.ema))
    assert [entry["loss"] for entry in entries(tmp_path)] == pytest.approx(losses, rel=1e-6)
    assert [entry["lr"] for entry in entries(tmp_path)] == pytest.approx(
        [0.005, 0.01, 0.01, 0.0075, 0.005, 0.0025]
    )
    for name, value in average.items():
        torch.testing.assert_close(averaged[name], value, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_ten_and_ten_steps_equal_twenty(tmp_path: Path, precision: str) -> None:
    def sections(steps: int) -> dict[str, dict[str, Any]]:
        settings = {"steps": steps, "log_every": 3, "eval_every": 4, "precision": precision}
        return {"train": settings, "toy": {"dropout": 0.3}, "schedule": {"warmup_steps": 15}}

    whole = run(tmp_path / "whole", **sections(20))
    run(tmp_path / "parts", **sections(10))
    parts = run(tmp_path / "parts", resume=True, **sections(20))
    assert_same(whole, parts)
    assert_same(states(tmp_path / "whole"), states(tmp_path / "parts"))
    # The first part logs one entry more, at its last step, which is in the middle of a logging interval.
    expected, found = entries(tmp_path / "whole"), entries(tmp_path / "parts")
    extra = [entry for entry in found if entry not in expected]
    assert [(entry["kind"], entry["step"]) for entry in extra] == [("train", 10), ("eval", 10)]
    assert [entry for entry in found if entry not in extra] == expected
    exported = load_file(tmp_path / "parts" / "export" / "model.safetensors")
    assert_same(dict(exported), dict(sorted(parts.items(), key=lambda item: list(exported).index(item[0]))))


def test_bfloat16_computes_differently_but_keeps_float32_weights(tmp_path: Path) -> None:
    full = run(tmp_path / "full", train={"steps": 3})
    half = run(tmp_path / "half", train={"steps": 3, "precision": "bfloat16"})
    assert all(value.dtype == torch.float32 for value in half.values())
    assert not torch.equal(full["first.weight"], half["first.weight"])
    torch.testing.assert_close(full["first.weight"], half["first.weight"], rtol=0, atol=2e-3)


def test_micro_batches_add_up_to_the_batch(tmp_path: Path) -> None:
    # A large eps keeps Adam's steps proportional to the gradient, so that rounding of tiny ones stays tiny.
    sections = {"optimizer": {"lr": 0.01, "eps": 1.0, "clip_norm": 0.0}}
    # With micro-batches of 6 in steps of 12, the masked mean of the toy has the same count in both halves.
    parts = run(tmp_path / "parts", train={"steps": 2, "batch_size": 12, "micro_batch": 6}, **sections)
    once = run(tmp_path / "once", train={"steps": 2, "batch_size": 12}, **sections)
    for name, value in once.items():
        if name != "seen":
            torch.testing.assert_close(parts[name], value, rtol=1e-5, atol=1e-7)
    one, other = entries(tmp_path / "once"), entries(tmp_path / "parts")
    assert [entry["loss"] for entry in other] == pytest.approx([entry["loss"] for entry in one], rel=1e-5)


def test_workers_change_nothing(tmp_path: Path) -> None:
    alone = run(tmp_path / "alone", train={"steps": 5}, toy={"dropout": 0.3})
    helped = run(tmp_path / "helped", train={"steps": 5, "workers": 2}, toy={"dropout": 0.3})
    assert_same(alone, helped)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_example_is_one_clear_message(tmp_path: Path, workers: int) -> None:
    with pytest.raises(UserError, match=r"^Cannot read example \d+\.$"):
        run(tmp_path, train={"steps": 5, "workers": workers}, toy={"fail_at": 20})
    assert json.loads((tmp_path / "run.json").read_text())["sessions"][0]["outcome"] == "failed"


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    train_section = {"steps": 20, "log_every": 5, "checkpoint_every": 4}
    with pytest.raises(
        UserError, match=r"not finite at step 7\. The last checkpoint is that of step 4\."
    ) as caught:
        run(tmp_path, train=train_section, toy={"explode_at": 50})
    assert caught.value.exit_code == 1
    assert all(torch.isfinite(value).all() for value in states(tmp_path)["module"].values())
    assert [entry["step"] for entry in entries(tmp_path)] == [5]
    run(tmp_path, resume=True, train=train_section)
    assert entries(tmp_path)[-1]["step"] == 20


def test_what_a_run_folder_holds(tmp_path: Path) -> None:
    run(
        tmp_path,
        train={"steps": 4, "image_every": 2, "eval_every": 3, "checkpoint_every": 1, "keep_checkpoints": 2},
    )
    assert checkpoint.steps(tmp_path / "checkpoints") == [3, 4]
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == [
        "ramp-00000002.png",
        "ramp-00000004.png",
    ]
    assert [entry["step"] for entry in entries(tmp_path) if entry["kind"] == "eval"] == [3, 4]
    facts = json.loads((tmp_path / "run.json").read_text())
    assert facts["parameters"] == 6 * 16 + 16 + 16 * 6 + 6
    assert (facts["examples"], facts["processes"], facts["device"]) == (37, 1, "cpu")
    assert facts["sessions"][0]["outcome"] == "complete" and facts["sessions"][0]["last_step"] == 4
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        "checkpoints",
        "export",
        "images",
        "lock",
        "metrics.jsonl",
        "recipe.toml",
        "run.json",
        "tensorboard",
    ]


def test_a_damaged_checkpoint_costs_its_steps_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    section = {"steps": 9, "checkpoint_every": 3, "keep_checkpoints": 2}
    whole = run(tmp_path, train=section)
    before = entries(tmp_path)
    (tmp_path / "checkpoints" / "step-00000009" / "state.pt").write_bytes(b"")
    assert_same(whole, run(tmp_path, resume=True, train={**section, "keep_checkpoints": 1}))
    assert "step-00000009 is damaged" in capsys.readouterr().err
    assert entries(tmp_path) == before
    kept = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert kept == ["damaged-step-00000009", "step-00000009"]


def test_resuming_a_complete_run_exports_again(tmp_path: Path) -> None:
    first = run(tmp_path, train={"steps": 3})
    (tmp_path / "export" / "model.safetensors").unlink()
    assert_same(first, run(tmp_path, resume=True, train={"steps": 3}))
    assert (tmp_path / "export" / "model.safetensors").exists()
