"""Extractors by name: those of the core, and those of plugins."""

from __future__ import annotations

from dar_bench.errors import unknown_name
from dar_bench.features.base import Extractor
from dar_bench.plugins import load_object, registry

EMBEDDED = {
    "efficientnet-lite0": "dar_bench.features.efficientnet:EfficientNetLite0",
    "dinov2-vitl14": "dar_bench.features.vit:dinov2_vitl14",
    "dinov2-vitb14": "dar_bench.features.vit:dinov2_vitb14",
    "clip-vitl14-336": "dar_bench.features.vit:clip_vitl14_336",
    "clip-vitb32": "dar_bench.features.vit:clip_vitb32",
}


def load_extractor(name: str = "efficientnet-lite0", device: str = "cpu") -> Extractor:
    """Return the extractor of this name on a device.

    A plugin registers ``name: "module:attribute"`` under ``Plugin.extractors``; the attribute is called as
    ``attribute(device)`` and returns an ``Extractor``.

    Raises:
        UserError: no extractor has that name, or its weights cannot be had.
    """
    known = {**registry().components("extractors"), **EMBEDDED}
    if name not in known:
        raise unknown_name("feature extractor", name, known)
    target = load_object(known[name])
    extractor = target(device)
    if not isinstance(extractor, Extractor):
        raise TypeError(f"'{known[name]}' made a {type(extractor).__name__}, which is not an Extractor")
    return extractor
