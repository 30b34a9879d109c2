"""A tiny task with everything that could break exactness: dropout, a buffer, random draws, a masked mean."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from dar_bench import process_group
from dar_bench.api import SampleKeys
from dar_bench.errors import UserError
from dar_bench.files import atomic_path
from dar_bench.sampling.randomness import normals
from dar_bench.training.distributed import global_mean
from dar_bench.training.loop import train
from dar_bench.training.recipe import TrainingRecipe, from_dict, require
from dar_bench.training.task import TrainingTask

WIDTH = 6


@dataclass(frozen=True, kw_only=True)
class ToyConfig:
    dropout: float = 0.0
    examples: int = 37
    blocks: int = 0
    fail_at: int | None = None
    explode_at: int | None = None
    pause: float = 0.0

    def check(self) -> None:
        require(0 <= self.dropout < 1, "dropout", self.dropout, "from 0 to below 1")


@dataclass(frozen=True, kw_only=True)
class ToyRecipe(TrainingRecipe):
    toy: ToyConfig = field(default_factory=ToyConfig)


class ToyData:
    def __init__(self, recipe: ToyRecipe):
        self.recipe = recipe
        self.inputs = torch.randn(recipe.toy.examples, WIDTH, generator=torch.Generator().manual_seed(1))

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Tensor]:
        index, draw = key
        if draw == self.recipe.toy.fail_at:
            raise UserError(f"Cannot read example {index}.")
        noise = normals(SampleKeys(seed=self.recipe.train.seed, indices=(draw,)), "noise", (WIDTH,))[0]
        target = self.inputs[index].sin()
        if self.recipe.toy.explode_at is not None and draw >= self.recipe.toy.explode_at:
            target = target * float("inf")
        return {
            "input": self.inputs[index] + 0.1 * noise,
            "target": target,
            # Between 1 and all of the values count, different in every example: a masked mean.
            "mask": (torch.arange(WIDTH) <= draw % WIDTH).float(),
        }


class ToyModule(nn.Module):
    def __init__(self, recipe: ToyRecipe):
        super().__init__()
        self.first = nn.Linear(WIDTH, 16)
        self.dropout = nn.Dropout(recipe.toy.dropout)
        self.blocks = nn.ModuleList(nn.Linear(16, 16) for _ in range(recipe.toy.blocks))
        self.last = nn.Linear(16, WIDTH)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        self.seen += 1
        hidden = self.first(batch["input"]).tanh()
        for block in self.blocks:
            hidden = hidden + block(hidden).tanh()
        error = (self.last(self.dropout(hidden)) - batch["target"]) ** 2
        plain = error.mean()
        masked = global_mean((error * batch["mask"]).sum(), batch["mask"].sum())
        return plain + masked, {"plain": plain, "masked": masked}


class ToyTask(TrainingTask):
    free_on_resume = frozenset({"toy.pause", "toy.fail_at", "toy.explode_at"})

    def __init__(self, recipe: ToyRecipe):
        torch.manual_seed(recipe.train.seed)
        self.recipe = recipe
        self.module = ToyModule(recipe)
        self.dataset = ToyData(recipe)

    def after_step(self, step: int) -> None:
        if self.recipe.toy.pause:
            import time

            time.sleep(self.recipe.toy.pause)

    def evaluate(self, module: nn.Module, ema_module: nn.Module, step: int) -> dict[str, float]:
        # Draws from the global generator on purpose: an evaluation must not shift the training's random
        # numbers.
        return {"weight": float(ema_module.first.weight.norm()), "draw": float(torch.rand(()))}

    def images(self, ema_module: nn.Module, step: int) -> dict[str, Tensor]:
        return {"ramp": torch.arange(5 * 3 * 4 * 4, dtype=torch.uint8).reshape(5, 3, 4, 4)}

    def export(self, ema_module: nn.Module, folder: Path) -> None:
        with atomic_path(folder / "model.safetensors") as path:
            save_file(dict(ema_module.state_dict()), path)


def recipe_of(**sections: dict[str, object]) -> ToyRecipe:
    train_section = {"batch_size": 8, "log_every": 1, "device": "cpu", "checkpoint_every": 0}
    train_section.update(sections.pop("train", {}))
    return from_dict(ToyRecipe, {"train": train_section, **sections})


def main() -> None:
    """Run as a process of its own: training_toy.py RECIPE RUN_DIR [--resume]."""
    from dar_bench.training.recipe import load_recipe

    recipe = load_recipe(ToyRecipe, Path(sys.argv[1]))
    status = 0
    try:
        train(ToyTask(recipe), recipe, Path(sys.argv[2]), resume="--resume" in sys.argv)
    except UserError as error:
        print(error, file=sys.stderr)
        status = error.exit_code
    except SystemExit as exit:
        status = exit.code
    process_group.finish(status)


if __name__ == "__main__":
    main()
