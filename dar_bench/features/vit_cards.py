"""Cards of the vision transformers that features are measured with: sizes, preprocessing, where weights come from.

They live in the weight store beside the models' and are fetched and imported in the same way; they are no
models of the zoo. Importing this module loads no framework.
"""

from __future__ import annotations

from typing import Any

from dar_bench.api import Card, WeightsFile

_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
_CLIP = {
    "mean": (0.48145466, 0.4578275, 0.40821073),
    "std": (0.26862954, 0.26130258, 0.27577711),
}
_LOAD = "dar_bench.features.vit:VitExtractor"
_LAYOUT = "dar_bench.features.vit_weights:layout"
_OPENAI = "https://openaipublic.azureedge.net/clip/models"


def _clip(
    name: str, summary: str, parameters: int, sha256: str, filename: str, config: dict[str, Any]
) -> Card:
    return Card(
        name=name,
        family="extractor",
        summary=summary,
        parameters=parameters,
        image_size=config["size"],
        load=_LOAD,
        layout=_LAYOUT,
        weights=WeightsFile(
            filename=filename,
            url=f"{_OPENAI}/{sha256}/{filename}",
            sha256=sha256,
            license="MIT",
            convert="dar_bench.features.vit_weights:convert_clip",
        ),
        config={"overrides": {}, "stored_grid": None, **_CLIP, **config},
    )


def _dinov2(name: str, summary: str, parameters: int, architecture: str) -> Card:
    stem = name.replace("-", "_")
    return Card(
        name=name,
        family="extractor",
        summary=summary,
        parameters=parameters,
        image_size=224,
        load=_LOAD,
        layout=_LAYOUT,
        weights=WeightsFile(
            filename=f"{stem}_pretrain.pth",
            url=f"https://dl.fbaipublicfiles.com/dinov2/{stem}/{stem}_pretrain.pth",
            license="Apache-2.0",
            convert="dar_bench.features.vit_weights:convert_dinov2",
            note="No hash is published: the first file that comes is recorded and demanded since.",
        ),
        config={
            "architecture": architecture,
            "overrides": {},
            "size": 224,
            "patch": 14,
            "stored_grid": 37,
            "resize": "pil-bicubic-stretch",
            "unit": False,
            **_IMAGENET,
        },
    )


VIT_CARDS: dict[str, Card] = {
    card.name: card
    for card in (
        _dinov2(
            "dinov2-vitl14",
            "DINOv2 ViT-L/14, class token: FD-DINOv2 with the preprocessing of dgm-eval",
            304_367_616,
            "vit_large_patch14_dinov2",
        ),
        _dinov2(
            "dinov2-vitb14",
            "DINOv2 ViT-B/14, class token; D-AR's training aligns with its patch tokens",
            86_579_712,
            "vit_base_patch14_dinov2",
        ),
        _clip(
            "clip-vitl14-336",
            "CLIP ViT-L/14 at 336 pixels, image embedding of unit length: CMMD",
            304_293_888,
            "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02",
            "ViT-L-14-336px.pt",
            {
                "architecture": "vit_large_patch14_clip_quickgelu_336",
                "size": 336,
                "patch": 14,
                "resize": "float-bicubic-stretch",
                "unit": True,
            },
        ),
        _clip(
            "clip-vitb32",
            "CLIP ViT-B/32, image embedding: FD-CLIP",
            87_849_216,
            "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af",
            "ViT-B-32.pt",
            {
                "architecture": "vit_base_patch32_clip_quickgelu_224",
                "size": 224,
                "patch": 32,
                "resize": "pil-bicubic-crop",
                "unit": False,
            },
        ),
    )
}
"""Extractor name to its card.

``config``: ``architecture`` and ``overrides`` for timm; ``size`` in pixels of the network's input and ``patch`` of one
token; ``stored_grid``, patches per side that the stored position embeddings are of where that differs; ``resize``,
``mean`` and ``std`` of the preprocessing; ``unit``, whether embeddings are brought to unit length.
"""
