"""Optimizers that a recipe may name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from training_toy import ToyTask, recipe_of

from dar_bench.errors import UserError
from dar_bench.training.loop import Trainer, train
from dar_bench.training.optimizers import build_optimizer, hidden_matrices, split
from dar_bench.training.recipe import OptimizerConfig
from dar_bench.training.task import parameter_groups

CPU = torch.device("cpu")


class Stacked(nn.Module):
    """Input layer, embedding, two blocks, output layer: what models look like."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(5, 8)
        self.table = nn.Embedding(7, 8)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 12), nn.SiLU(), nn.Linear(12, 8)) for _ in range(2)
        )
        self.last = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        x = self.first(x) + self.table(index)
        for layer in self.layers:
            x = x + layer(x)
        return self.last(x)


def model() -> Stacked:
    torch.manual_seed(0)
    return Stacked()


def loss_of(net: Stacked) -> torch.Tensor:
    x = torch.randn(24, 5, generator=torch.Generator().manual_seed(1))
    return (net(x, torch.arange(24) % 7) - x[:, :3].sin()).square().mean()


def test_muon_gets_the_matrices_of_the_blocks_alone() -> None:
    net = model()
    chosen = hidden_matrices(net)
    names = {name for name, parameter in net.named_parameters() if id(parameter) in chosen}
    assert names == {f"layers.{block}.{part}.weight" for block in (0, 1) for part in (1, 3)}
    groups = parameter_groups(net.parameters(), OptimizerConfig(weight_decay=0.1))
    theirs, others = split(groups, chosen)
    assert [group["weight_decay"] for group in theirs] == [0.1]
    assert [group["weight_decay"] for group in others] == [0.1, 0.0]
    kept = [parameter for group in (*theirs, *others) for parameter in group["params"]]
    assert sorted(map(id, kept)) == sorted(map(id, net.parameters()))


def test_a_muon_step_is_an_orthogonal_matrix_of_adams_size() -> None:
    """The closed form: U V^T of the gradient, times 0.2 sqrt(larger side), as the iteration approximates it."""
    net = model()
    config = OptimizerConfig(name="muon", lr=0.01, clip_norm=0.0)
    optimizer = build_optimizer(net, parameter_groups(net.parameters(), config), config, CPU)
    weight = net.layers[0][3].weight
    before = weight.detach().clone()
    loss_of(net).backward()
    assert weight.grad is not None
    u, _, v = torch.linalg.svd(weight.grad, full_matrices=False)
    optimizer.step()
    step = (before - weight.detach()) / 0.01 / (0.2 * 12**0.5)
    # The iteration ends with singular values between about 0.7 and 1.2; it computes in bfloat16.
    sizes = torch.linalg.svdvals(step)
    assert sizes.min() > 0.6
    assert sizes.max() < 1.3
    along = torch.diagonal(u.T @ step @ v.T)
    assert along.sum() > 0.95 * sizes.sum()  # in the gradient's own directions


def test_the_rest_is_adamw() -> None:
    net, twin = model(), model()
    muon, adamw = OptimizerConfig(name="muon", lr=0.01), OptimizerConfig(lr=0.01)
    for one, config in ((net, muon), (twin, adamw)):
        optimizer = build_optimizer(one, parameter_groups(one.parameters(), config), config, CPU)
        loss_of(one).backward()
        optimizer.step()
    chosen = hidden_matrices(net)
    for (name, one), other in zip(net.named_parameters(), twin.parameters(), strict=True):
        assert torch.equal(one, other) is (id(one) not in chosen), name


def test_a_resumed_muon_training_is_one_training(tmp_path: Path) -> None:
    def sections(steps: int) -> dict[str, dict[str, object]]:
        return {"train": {"steps": steps}, "optimizer": {"name": "muon", "lr": 0.02}, "toy": {"blocks": 2}}

    whole = recipe_of(**sections(8))
    expected = train(ToyTask(whole), whole, tmp_path / "whole").state_dict()
    half = recipe_of(**sections(4))
    train(ToyTask(half), half, tmp_path / "parts")
    found = train(ToyTask(whole), whole, tmp_path / "parts", resume=True).state_dict()
    assert any(name.startswith("blocks.") for name in expected)
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


def test_the_rate_reaches_both_parts() -> None:
    recipe = recipe_of(optimizer={"name": "muon", "lr": 0.02}, toy={"blocks": 1}, train={"steps": 2})
    from dar_bench.training.distributed import start

    trainer = Trainer(ToyTask(recipe), recipe, start(recipe.train), None)
    trainer.learner.update(0.0125)
    assert [group["lr"] for group in trainer.learner.optimizer.param_groups] == [0.0125] * 3


def test_an_old_torch_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.optim, "Muon")
    net = model()
    config = OptimizerConfig(name="muon")
    with pytest.raises(UserError, match="Muon") as caught:
        build_optimizer(net, parameter_groups(net.parameters(), config), config, CPU)
    assert "optimizer.name=adamw" in (caught.value.hint or "")
