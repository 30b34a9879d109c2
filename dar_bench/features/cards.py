"""Cards of the core's own extractors whose weights have to be fetched; reading them loads nothing."""

from __future__ import annotations

from dar_bench.api import Card, WeightsFile
from dar_bench.features.vit_cards import VIT_CARDS

INCEPTION = Card(
    name="inception-2015-12-05",
    family="extractor",
    summary="The Inception network that FID, sFID and IS are defined on",
    parameters=23_885_392,
    image_size=299,
    load="dar_bench.features.inception:Inception2015",
    weights=WeightsFile(
        filename="pt_inception-2015-12-05-6726825d.pth",
        url="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
        "weights-inception-2015-12-05-6726825d.pth",
        sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        size=95_628_359,
        license="Apache-2.0",
        keeper="dar_bench.features.inception_store",
    ),
)

EXTRACTOR_CARDS: dict[str, Card] = {INCEPTION.name: INCEPTION, **VIT_CARDS}
