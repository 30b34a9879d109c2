from __future__ import annotations

import pytest

from dar_bench.errors import UserError
from dar_bench.features import efficientnet, names
from dar_bench.features.names import load_extractor


class Plain:
    """An extractor in a few lines, as a plugin may bring one."""

    name = "plain"

    def __init__(self, device: str):
        self.device = device

    def fingerprint(self) -> str:
        return "plain"

    def extract(self, images: object) -> None: ...


class OfPlugins:
    def components(self, kind: str) -> dict[str, str]:
        assert kind == "extractors"
        return {"plain": "somewhere:Plain", "broken": "somewhere:object"}


@pytest.fixture(autouse=True)
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    targets = {
        "somewhere:Plain": Plain,
        "somewhere:object": lambda device: object(),
        names.EMBEDDED["efficientnet-lite0"]: efficientnet.EfficientNetLite0,
    }
    monkeypatch.setattr(names, "registry", OfPlugins)
    monkeypatch.setattr(names, "load_object", targets.__getitem__)


def test_the_embedded_extractor_is_the_default() -> None:
    assert load_extractor().name == "efficientnet-lite0"


def test_plugins_bring_their_own() -> None:
    extractor = load_extractor("plain", "cuda:1")
    assert isinstance(extractor, Plain) and extractor.device == "cuda:1"


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean 'efficientnet-lite0'"):
        load_extractor("efficientnet")


def test_what_is_no_extractor_is_named() -> None:
    with pytest.raises(TypeError, match="'somewhere:object' made a object"):
        load_extractor("broken")
