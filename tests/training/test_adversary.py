"""Two networks trained against each other in the one loop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from test_loop import assert_same, entries, states
from torch import Tensor, nn
from torch.func import functional_call
from training_toy import WIDTH, ToyModule, ToyTask, recipe_of

from dar_bench.errors import UserError
from dar_bench.training.loader import batches
from dar_bench.training.loop import train
from dar_bench.training.order import StepSampler
from dar_bench.training.recipe import OptimizerConfig
from dar_bench.training.task import Adversary

START = 3
THEIRS = OptimizerConfig(lr=0.05, betas=(0.5, 0.9), clip_norm=0.1)


class Judge(nn.Module):
    """Tells inputs from what the toy made of them."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(WIDTH, 1)

    def forward(self, made: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        loss = self.layer(made["fake"]).mean() - self.layer(made["real"]).tanh().mean()
        return loss, {"gap": loss.detach()}


class FoolingModule(ToyModule):
    """The toy with a term that the judge, held outside the module, decides."""

    def __init__(self, recipe: Any, judge: Judge):
        super().__init__(recipe)
        self.judge = [judge]

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        made = self.last(self.first(batch["input"]).tanh())
        judge = self.judge[0].layer
        held = {name: value.detach() for name, value in judge.named_parameters()}
        fooled = -functional_call(judge, held, (made,)).mean()
        error = (made - batch["target"]).square().mean()
        return error + fooled, {"fooled": fooled}, {"real": batch["input"], "fake": made}


class FoolingTask(ToyTask):
    def __init__(self, recipe: Any):
        super().__init__(recipe)
        judge = Judge()
        self.module = FoolingModule(recipe, judge)
        self.adversary = Adversary(module=judge, optimizer=THEIRS, start=START)


def run(folder: Path, *, resume: bool = False, **sections: dict[str, Any]) -> FoolingTask:
    recipe = recipe_of(**sections)
    task = FoolingTask(recipe)
    train(task, recipe, folder, resume=resume)
    return task


def test_the_loop_is_plain_adversarial_training(tmp_path: Path) -> None:
    """The same computation written out: an update of the module, then one of the judge on what was made."""
    sections = {"train": {"steps": 6}, "optimizer": {"lr": 0.01, "clip_norm": 0.0}}
    trained = run(tmp_path, **sections)
    recipe = recipe_of(**sections)
    task = FoolingTask(recipe)
    judge = task.adversary.module
    sampler = StepSampler(count=37, seed=0, batch_size=8, micro_batch=0, start=0, steps=6)
    ours = torch.optim.AdamW(task.module.parameters(), lr=0.01, betas=(0.9, 0.95), weight_decay=0.0)
    theirs = torch.optim.AdamW(judge.parameters(), lr=0.05, betas=(0.5, 0.9), weight_decay=0.0)
    before = {name: value.clone() for name, value in judge.state_dict().items()}
    for step, batch in enumerate(batches(task.dataset, sampler, workers=0, device=torch.device("cpu"))):
        loss, _, made = task.module(batch)
        ours.zero_grad()
        loss.backward()
        ours.step()
        if step < START:
            continue
        theirs.zero_grad()
        judge({name: value.detach() for name, value in made.items()})[0].backward()
        nn.utils.clip_grad_norm_(judge.parameters(), 0.1)
        theirs.step()
    for name, value in task.module.state_dict().items():
        if name != "seen":
            torch.testing.assert_close(trained.module.state_dict()[name], value, rtol=1e-5, atol=1e-7)
    for name, value in judge.state_dict().items():
        assert not torch.equal(value, before[name])
        torch.testing.assert_close(trained.adversary.module.state_dict()[name], value, rtol=1e-5, atol=1e-7)


def test_ten_and_ten_steps_are_twenty(tmp_path: Path) -> None:
    whole = {"train": {"steps": 20, "checkpoint_every": 10, "log_every": 4}, "toy": {"dropout": 0.2}}
    half = {**whole, "train": {**whole["train"], "steps": 10}}
    run(tmp_path / "whole", **whole)
    run(tmp_path / "parts", **half)
    run(tmp_path / "parts", resume=True, **whole)
    assert_same(states(tmp_path / "whole"), states(tmp_path / "parts"))
    assert {"adversary", "adversary_optimizer"} <= states(tmp_path / "whole").keys()
    ours = [entry for entry in entries(tmp_path / "whole") if entry["kind"] == "train"]
    theirs = {entry["step"]: entry for entry in entries(tmp_path / "parts") if entry["kind"] == "train"}
    for entry in ours:
        assert theirs[entry["step"]] == entry


def test_micro_batches_add_up_to_the_batch(tmp_path: Path) -> None:
    one = run(tmp_path / "one", train={"steps": 6})
    two = run(tmp_path / "two", train={"steps": 6, "micro_batch": 4})
    for name, value in one.adversary.module.state_dict().items():
        torch.testing.assert_close(two.adversary.module.state_dict()[name], value, rtol=1e-4, atol=1e-6)


def test_means_of_what_begins_inside_a_window(tmp_path: Path) -> None:
    """Steps 1 to 4 are logged together; the judge took part in the fourth only, and its mean is that step's value."""
    run(tmp_path / "each", train={"steps": 4, "log_every": 1})
    run(tmp_path / "four", train={"steps": 4, "log_every": 4})
    each, four = entries(tmp_path / "each"), entries(tmp_path / "four")
    assert ["adversary_loss" in entry for entry in each] == [False, False, False, True]
    for name in ("adversary_loss", "adversary_gap", "adversary_grad_norm"):
        assert four[0][name] == pytest.approx(each[3][name], rel=1e-6)
    assert four[0]["fooled"] == pytest.approx(sum(entry["fooled"] for entry in each) / 4, rel=1e-6)


def test_an_adversary_that_explodes_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Judge, "forward", lambda self, made: (self.layer(made["fake"]).mean() * float("inf"), {})
    )
    with pytest.raises(UserError, match="not finite at step 4"):
        run(tmp_path, train={"steps": 8})
    assert json.loads((tmp_path / "run.json").read_text())["sessions"][-1]["outcome"] == "loss not finite"
