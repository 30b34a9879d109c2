from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dar_bench.errors import UserError
from dar_bench.training.recipe import (
    TrainingRecipe,
    differing_keys,
    dump_toml,
    from_dict,
    load_recipe,
    require,
    to_dict,
)


@dataclass(frozen=True, kw_only=True)
class Model:
    width: int
    kind: Literal["small", "large"] = "small"
    sizes: tuple[int, ...] = (1, 2)
    note: str = ""
    limit: float | None = None

    def check(self) -> None:
        require(self.width % 8 == 0, "width", self.width, "a multiple of 8")


@dataclass(frozen=True, kw_only=True)
class Recipe(TrainingRecipe):
    model: Model
    flag: bool = False


TEXT = """
flag = true
[model]
width = 64
sizes = [3]
[optimizer]
lr = 1
betas = [0.5, 0.75]
[schedule]
kind = "linear"
decay_end = 20
"""


def read(tmp_path: Path, text: str = TEXT, *overrides: str) -> Recipe:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    return load_recipe(Recipe, path, overrides)


def test_values_arrive_with_their_declared_types(tmp_path: Path) -> None:
    recipe = read(tmp_path)
    assert recipe.flag is True
    assert recipe.model == Model(width=64, sizes=(3,))
    assert recipe.optimizer.lr == 1.0 and isinstance(recipe.optimizer.lr, float)
    assert recipe.optimizer.betas == (0.5, 0.75)
    assert recipe.schedule.decay_end == 20
    assert recipe.train.steps == 1000


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("optimizer.lr=1e-3", 1e-3),
        ("optimizer.betas=0.9,0.95", (0.9, 0.95)),
        ("model.sizes=[4, 5, 6]", (4, 5, 6)),
        ("model.kind=large", "large"),
        ("model.note=a=b", "a=b"),
        ("model.limit=2.5", 2.5),
        ("schedule.decay_end=none", None),
        ("flag=false", False),
    ],
)
def test_overrides_set_one_value(tmp_path: Path, override: str, value: object) -> None:
    found: object = read(tmp_path, TEXT, override)
    for part in override.partition("=")[0].split("."):
        found = getattr(found, part)
    assert found == value


@pytest.mark.parametrize(
    ("text", "overrides", "words"),
    [
        (TEXT + "[optimiser]\nlr = 1.0", (), ["optimiser", "'optimizer'", "recipe.toml"]),
        (TEXT + "weight = 3", (), ["schedule.weight", "section 'schedule'", "warmup_steps"]),
        (TEXT.replace("lr = 1", "Lr = 1"), (), ["optimizer.Lr", "'lr'"]),
        (TEXT.replace("lr = 1", 'lr = "1"'), (), ["optimizer.lr", "a number", "'1'"]),
        (TEXT.replace("width = 64", "width = 64.0"), (), ["model.width", "a whole number", "64.0"]),
        (TEXT.replace("width = 64", "width = true"), (), ["model.width", "a whole number", "True"]),
        (TEXT.replace("flag = true", "flag = 1"), (), ["flag", "true or false"]),
        (TEXT.replace("[0.5, 0.75]", "[0.5]"), (), ["optimizer.betas", "2 items"]),
        (TEXT.replace('"linear"', '"linaer"'), (), ["schedule.kind", "constant, linear, cosine", "linaer"]),
        (
            TEXT.replace("width = 64", "width = 63"),
            (),
            ["model.width", "63", "a multiple of 8", "recipe.toml"],
        ),
        (TEXT.replace("width = 64", ""), (), ["model.width", "lacks", "a whole number"]),
        (
            TEXT.replace("flag = true", "model = 3").replace("[model]\nwidth = 64\nsizes = [3]", ""),
            (),
            ["section"],
        ),
        ("flag = maybe", (), ["not valid TOML", "line 1"]),
        (TEXT, ("optimizer.lrr=1",), ["optimizer.lrr", "'lr'", "--set"]),
        (TEXT, ("optimizr.lr=1",), ["optimizr.lr", "'optimizer'"]),
        (TEXT, ("optimizer.lr.x=1",), ["optimizer.lr.x"]),
        (TEXT, ("optimizer.lr=fast",), ["optimizer.lr", "a number", "'fast'"]),
        (TEXT, ("optimizer.lr=-1",), ["optimizer.lr", "above 0", "-1.0"]),
        (TEXT, ("optimizer.lr",), ["section.key=value"]),
        (TEXT, ("optimizer=1",), ["optimizer.lr"]),
        (TEXT, ("flag=yes",), ["true or false"]),
        (TEXT, ("optimizer.betas=0.5",), ["2 items"]),
        (TEXT, ("model.kind=huge",), ["small, large"]),
    ],
)
def test_a_mistake_is_named_with_its_key(
    tmp_path: Path, text: str, overrides: tuple[str, ...], words: list[str]
) -> None:
    with pytest.raises(UserError) as caught:
        read(tmp_path, text, *overrides)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("optimizer", "betas", [0.9, 1.0]),
        ("optimizer", "weight_decay", -0.1),
        ("optimizer", "eps", 0.0),
        ("optimizer", "clip_norm", -1.0),
        ("schedule", "warmup_steps", -1),
        ("schedule", "decay_end", 0),
        ("schedule", "final_lr", -1.0),
        ("ema", "decay", 1.0),
        ("train", "steps", 0),
        ("train", "batch_size", 0),
        ("train", "seed", -1),
        ("train", "workers", -1),
        ("train", "checkpoint_every", -1),
    ],
)
def test_shared_sections_check_their_ranges(section: str, key: str, value: object) -> None:
    with pytest.raises(UserError, match=rf"'{section}\.{key}' is out of range"):
        from_dict(TrainingRecipe, {section: {key: value}})


def test_a_missing_file_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Cannot read the recipe .*none\.toml"):
        load_recipe(Recipe, tmp_path / "none.toml")


@given(
    note=st.text(st.characters(exclude_categories=["Cs"])),
    lr=st.floats(min_value=1e-30, max_value=1e30),
    sizes=st.lists(st.integers(min_value=-(2**60), max_value=2**60)),
    limit=st.none() | st.floats(allow_nan=False, allow_infinity=False),
)
def test_dumped_toml_reads_back_to_the_same_recipe(
    note: str, lr: float, sizes: list[int], limit: float | None
) -> None:
    model: dict[str, object] = {"width": 8, "note": note, "sizes": sizes}
    if limit is not None:
        model["limit"] = limit
    recipe = from_dict(Recipe, {"model": model, "optimizer": {"lr": lr}})
    assert from_dict(Recipe, tomllib.loads(dump_toml(recipe))) == recipe


def test_differing_keys_are_dotted_and_see_absent_values() -> None:
    one = from_dict(Recipe, {"model": {"width": 8}})
    other = from_dict(Recipe, {"model": {"width": 16, "limit": 1.0}, "train": {"steps": 5}})
    assert differing_keys(to_dict(one), to_dict(other)) == ["model.limit", "model.width", "train.steps"]
