from __future__ import annotations

import sys
import textwrap
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from dar_bench import plugins
from dar_bench.api import CommandSpec, DatasetSpec, LoadOptions, Plugin, TokenizerCard, WeightsFile
from dar_bench.errors import UserError
from dar_bench.plugins import PluginStatus, Registry, load_object, resource_path


def card(name: str, *aliases: str) -> TokenizerCard:
    return TokenizerCard(
        name=name,
        aliases=aliases,
        family="tokenizer",
        summary="",
        parameters=1,
        image_size=8,
        tokens=4,
        codebook_size=16,
        load="toy:load",
        weights=WeightsFile(filename="toy.pt"),
    )


def working(distribution: str, plugin: Plugin) -> PluginStatus:
    return PluginStatus(name=plugin.name, distribution=distribution, version="1", plugin=plugin)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_registry: None) -> object:
    """Return a function that makes one importable module the target of one entry point."""
    monkeypatch.syspath_prepend(str(tmp_path))
    found: list[EntryPoint] = []
    monkeypatch.setattr(plugins, "entry_points", lambda group: list(found))

    def install(name: str, source: str) -> None:
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))
        found.append(EntryPoint(name=name, value=f"{name}:plugin", group="dar_bench.plugins"))
        monkeypatch.delitem(sys.modules, name, raising=False)

    return install


def test_names_and_aliases_find_cards() -> None:
    registry = Registry([working("dist-a", Plugin(name="a", cards=(card("tok", "the-tok"),)))])
    assert registry.card("tok") is registry.card("the-tok")
    assert [found.name for found in registry.cards()] == ["tok"]
    with pytest.raises(UserError, match=r"Unknown model 'tik'. Did you mean 'tok'\? See 'dar-bench models'."):
        registry.card("tik")


def test_a_name_claimed_twice_is_an_error_for_that_name_alone() -> None:
    registry = Registry(
        [
            working("dist-a", Plugin(name="a", cards=(card("same"), card("fine")))),
            working("dist-b", Plugin(name="b", cards=(card("same"), card("other", "also-fine")))),
        ]
    )
    with pytest.raises(UserError, match="The model 'same' is claimed by dist-a and by dist-b"):
        registry.card("same")
    assert registry.card("also-fine").name == "other"
    assert [found.name for found in registry.cards()] == ["fine", "other"]
    assert registry.conflicts() == ["The model 'same' is claimed by dist-a and by dist-b."]


def test_an_alias_may_not_take_anothers_name() -> None:
    registry = Registry(
        [
            working("dist-a", Plugin(name="a", cards=(card("tok"),))),
            working("dist-b", Plugin(name="b", cards=(card("longer", "tok"),))),
        ]
    )
    with pytest.raises(UserError, match="dist-a and by dist-b"):
        registry.card("tok")
    assert [found.name for found in registry.cards()] == ["longer"]


def test_a_plugin_that_repeats_itself_is_named_once() -> None:
    registry = Registry([working("dist-a", Plugin(name="a", cards=(card("tok"), card("tok"))))])
    assert registry.conflicts() == ["The model 'tok' is claimed 2 times by dist-a."]


def test_data_sets_commands_and_components_have_names_too() -> None:
    spec = CommandSpec(group="train", name="toy", target="json:dumps", help="")
    data = DatasetSpec(name="toys", splits={}, summary="")
    first = Plugin(name="a", commands=(spec,), datasets=(data,), solvers={"dump": "json:dumps"})
    registry = Registry([working("dist-a", first)])
    assert registry.commands("train") == [registry.command("train", "toy")] == [spec]
    assert registry.commands("eval") == []
    assert registry.datasets() == [registry.dataset("toys")] == [data]
    assert registry.components("solvers") == {"dump": "json:dumps"}
    assert registry.component("solvers", "dump")([1]) == "[1]"
    with pytest.raises(UserError, match="Unknown solver 'dumb'. Did you mean 'dump'"):
        registry.component("solvers", "dumb")
    with pytest.raises(UserError, match="Unknown data set 'toy'. Did you mean 'toys'"):
        registry.dataset("toy")
    twice = Registry([working("dist-a", first), working("dist-b", Plugin(name="b", commands=(spec,)))])
    with pytest.raises(UserError, match="The train command 'toy' is claimed by dist-a and by dist-b"):
        twice.command("train", "toy")


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import no_such_framework", "ModuleNotFoundError: No module named 'no_such_framework'"),
        ("raise SystemExit('no licence')", "SystemExit: no licence"),
        ("def broken(:", "SyntaxError: "),
        ("something = 1", "AttributeError: module 'broken' has no attribute 'plugin'"),
        ("plugin = {'name': 'x'}", "'broken:plugin' is of type dict, not dar_bench.api.Plugin"),
        (
            "from dar_bench.api import Plugin\nplugin = Plugin(name='x', cards=('dar-l',))",
            "'broken:plugin' has a str among its cards, not a Card",
        ),
    ],
)
def test_a_broken_plugin_is_reported_and_breaks_nothing_else(installed, source: str, error: str) -> None:
    installed("broken", source)
    installed(
        "sound",
        """
        from dar_bench.api import Plugin
        plugin = Plugin(name="sound", solvers={"dump": "json:dumps"})
        """,
    )
    registry = plugins.registry()
    broken, sound = registry.plugins
    assert broken.plugin is None
    assert broken.error.startswith(error)
    assert sound.plugin is not None
    assert sound.error == ""
    assert list(registry.components("solvers")) == ["dump"]
    with pytest.raises(UserError, match="these plugins did not load: broken"):
        registry.card("dar-l")


def test_load_object() -> None:
    assert load_object("json:dumps")(1) == "1"
    with pytest.raises(UserError, match="The form is 'module:attribute'"):
        load_object("json.dumps")
    with pytest.raises(UserError, match="The module json has no 'dump_all'"):
        load_object("json:dump_all")
    with pytest.raises(UserError, match="module 'no_such_module' is not installed"):
        load_object("no_such_module:x")


def test_a_missing_module_of_an_extra_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    error = ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow.compat")
    assert plugins.missing_module("Cannot evaluate.", error).hint == (
        "Install it with: pip install 'dar-bench[adm]'"
    )


def test_resource_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "toy_resources"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "data" / "train.parquet").write_bytes(b"x")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert resource_path("toy_resources:data/train.parquet").read_bytes() == b"x"
    assert resource_path("toy_resources:data").is_dir()
    with pytest.raises(UserError, match="'toy_resources:data/val.parquet' is missing"):
        resource_path("toy_resources:data/val.parquet")
    with pytest.raises(UserError, match="is not installed"):
        resource_path("no_such_package:data")
    with pytest.raises(UserError, match="The form is 'package:relative/path'"):
        resource_path("toy_resources/data")


def test_load_model_hands_over_card_weights_and_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins, "load_object", lambda target: lambda *handed: (target, *handed))
    toy = card("toy")
    registry = Registry([working("dist-a", Plugin(name="a", cards=(toy,)))])
    monkeypatch.setattr(plugins, "registry", lambda: registry)
    file = tmp_path / "mine.safetensors"
    with pytest.raises(UserError, match="There is no weights file"):
        plugins.load_model("toy", LoadOptions(), weights=file)
    with pytest.raises(UserError, match="The weights of 'toy' are not on this machine"):
        plugins.load_model("toy", LoadOptions())
    file.write_bytes(b"")
    options = LoadOptions(device="cpu", dtype="bfloat16")
    assert plugins.load_model("toy", options, weights=file) == ("toy:load", toy, file, options)


def test_a_folder_that_holds_no_model_is_told_where_one_is(tmp_path: Path) -> None:
    registry = Registry([working("dist-a", Plugin(name="a", cards=(card("tok"),)))])
    with pytest.raises(UserError, match="There is no folder 'runs/tiny'"):
        registry.card("runs/tiny")
    with pytest.raises(UserError, match="holds no model.*Give a model's name"):
        registry.card(str(tmp_path))
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "model.json").write_text("{}")
    with pytest.raises(UserError, match=f"holds no model.*Did you mean '{tmp_path}/export'"):
        registry.card(str(tmp_path))
