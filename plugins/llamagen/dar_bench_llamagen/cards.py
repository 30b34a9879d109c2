"""The LlamaGen part of the zoo, as data: loads no framework.

Scores are those of the D-AR paper's tables where it has them, else those of the LlamaGen repository's table (arXiv
2406.06525); each says which, and the options that it was made with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dar_bench.api import GeneratorCard, ReportedScore, TokenizerCard, WeightsFile
from dar_bench.sampling.options import autoregressive_options

PUBLISHED = "https://huggingface.co/FoundationVision/LlamaGen/resolve/main/"
LICENSE = "MIT"
LOAD_TOKENIZER = "dar_bench_llamagen.load:load_tokenizer"
LOAD_GENERATOR = "dar_bench_llamagen.load:load_generator"
COUNT = "dar_bench_llamagen.load:count_card"
LAYOUT = "dar_bench_llamagen.load:layout"
UNPUBLISHED = "No checkpoint was published; train it with the recipe {recipe}{changes}, or import your own."


def _published(filename: str, convert: str, recipe: str, changes: str = "") -> WeightsFile:
    return WeightsFile(
        filename=filename,
        url=PUBLISHED + filename if filename else "",
        license=LICENSE,
        convert=f"dar_bench_llamagen.weights:{convert}",
        note="" if filename else UNPUBLISHED.format(recipe=recipe, changes=changes),
    )


def _tokenizer(
    name: str,
    summary: str,
    parameters: int,
    size: int,
    filename: str,
    config: Mapping[str, Any],
    reported: tuple[ReportedScore, ...],
    *,
    patch: int = 16,
    codebook_size: int = 16384,
) -> TokenizerCard:
    return TokenizerCard(
        name=name,
        family="tokenizer",
        summary=summary,
        parameters=parameters,
        image_size=size,
        tokens=(size // patch) ** 2,
        codebook_size=codebook_size,
        load=LOAD_TOKENIZER,
        count_parameters=COUNT,
        layout=LAYOUT,
        weights=_published(filename, "convert_tokenizer", name),
        config={"image_size": size, **config},
        reported=reported,
    )


def _rfid(source: str, row: str, rfid: float, note: str = "") -> ReportedScore:
    return ReportedScore(source=source, row=row, scores={"rFID": rfid}, note=note)


TABLE_1, TABLE_3, REPOSITORY = "D-AR Table 1", "D-AR Table 3", "LlamaGen repository"
RESIZED = (
    "Encoded and decoded at {size} px, then resized to 256 px and compared with the 256 px centre crops."
)

LLAMAGEN_TOKENIZER = _tokenizer(
    "llamagen-tokenizer",
    "VQ-16 at 256 px: 16 x 16 codes of 16384",
    71_883_403,
    256,
    "vq_ds16_c2i.pt",
    {},
    (_rfid(TABLE_1, "LlamaGen, 16384", 2.19),),
)

LLAMAGEN_TOKENIZER_384 = _tokenizer(
    "llamagen-tokenizer-384",
    "VQ-16 at 384 px: 24 x 24 codes of 16384; the weights of llamagen-tokenizer",
    71_883_403,
    384,
    "vq_ds16_c2i.pt",
    {},
    (_rfid(REPOSITORY, "VQ-16, 24 x 24", 0.94, RESIZED.format(size=384)),),
)

LLAMAGEN_TOKENIZER_512 = _tokenizer(
    "llamagen-tokenizer-512",
    "VQ-16 at 512 px: 32 x 32 codes of 16384; the weights of llamagen-tokenizer",
    71_883_403,
    512,
    "vq_ds16_c2i.pt",
    {},
    (_rfid(REPOSITORY, "VQ-16, 32 x 32", 0.70, RESIZED.format(size=512)),),
)

LLAMAGEN_TOKENIZER_DS8 = _tokenizer(
    "llamagen-tokenizer-ds8",
    "VQ-8 at 256 px: 32 x 32 codes of 16384",
    70_109_835,
    256,
    "vq_ds8_c2i.pt",
    {"multipliers": (1, 2, 2, 4)},
    (_rfid(REPOSITORY, "VQ-8, 32 x 32", 0.59),),
    patch=8,
)

LLAMAGEN_TOKENIZER_4096 = _tokenizer(
    "llamagen-tokenizer-4096",
    "VQ-16 at 256 px with 4096 codes, an ablation of the LlamaGen paper",
    71_785_099,
    256,
    "",
    {"codebook_size": 4096},
    (_rfid(TABLE_1, "LlamaGen, 4096", 3.02),),
    codebook_size=4096,
)

SIZES: Mapping[str, Mapping[str, int]] = {
    "b": {"layers": 12, "heads": 12, "dim": 768},
    "l": {"layers": 24, "heads": 16, "dim": 1024},
    "xl": {"layers": 36, "heads": 20, "dim": 1280},
    "xxl": {"layers": 48, "heads": 24, "dim": 1536},
    "3b": {"layers": 24, "heads": 32, "dim": 3200},
}
PARAMETERS = {
    "b": 110_888_448,
    "l": 342_910_976,
    "xl": 774_699_520,
    "xxl": 1_410_972_672,
    "3b": 3_096_659_200,
}
# The guidance scales of the published scores.
SCALES = {"b": "2.0", "l": "2.0", "xl": "1.75", "xxl": "1.75", "3b": "1.65"}


def _generator(
    size: str, filename: str, reported: tuple[tuple[str, str, Mapping[str, float]], ...], *, large: bool
) -> GeneratorCard:
    """Return the card of a size at 256 px, or (``large``) at 384 px with its images resized to 256."""
    tokenizer = LLAMAGEN_TOKENIZER_384 if large else LLAMAGEN_TOKENIZER
    side = round(tokenizer.tokens**0.5)
    return GeneratorCard(
        name=f"llamagen-{size}-384" if large else f"llamagen-{size}",
        family="vanilla AR",
        summary=f"LlamaGen-{size.upper()}: Llama over {side} x {side} codes"
        + (", painted at 384 px and resized to 256" if large else " at 256 px"),
        parameters=PARAMETERS[size],
        image_size=256,
        num_classes=1000,
        tokenizer=tokenizer.name,
        reference="imagenet-256-train",
        load=LOAD_GENERATOR,
        count_parameters=COUNT,
        layout=LAYOUT,
        weights=_published(
            filename, "convert_ar", f"llamagen-{size}-384", " and --tokenizer llamagen-tokenizer"
        ),
        options=autoregressive_options(cfg=SCALES[size]),
        config={**SIZES[size], "codebook_size": 16384, "num_tokens": tokenizer.tokens, "num_classes": 1000},
        reported=tuple(
            ReportedScore(source=source, row=row, scores=scores, options={"cfg": SCALES[size]})
            for source, row, scores in reported
        ),
    )


def _scores(fid: float, inception: float, precision: float, recall: float) -> Mapping[str, float]:
    return {"FID": fid, "IS": inception, "precision": precision, "recall": recall}


GENERATORS = (
    _generator("b", "c2i_B_256.pt", ((REPOSITORY, "LlamaGen-B, 16 x 16", {"FID": 5.46}),), large=False),
    _generator("b", "c2i_B_384.pt", ((REPOSITORY, "LlamaGen-B, 24 x 24", {"FID": 6.09}),), large=True),
    _generator("l", "c2i_L_256.pt", ((REPOSITORY, "LlamaGen-L, 16 x 16", {"FID": 3.80}),), large=False),
    _generator(
        "l", "c2i_L_384.pt", ((TABLE_3, "LlamaGen-L", _scores(3.07, 256.06, 0.83, 0.52)),), large=True
    ),
    _generator("xl", "", (), large=False),
    _generator(
        "xl", "c2i_XL_384.pt", ((TABLE_3, "LlamaGen-XL", _scores(2.62, 244.08, 0.80, 0.57)),), large=True
    ),
    _generator("xxl", "", (), large=False),
    _generator(
        "xxl", "c2i_XXL_384.pt", ((TABLE_3, "LlamaGen-XXL", _scores(2.34, 253.90, 0.80, 0.59)),), large=True
    ),
    _generator("3b", "", (), large=False),
    _generator("3b", "c2i_3B_384.pt", ((REPOSITORY, "LlamaGen-3B, 24 x 24", {"FID": 2.18}),), large=True),
)

EMOJI_CLASSES = (
    "Smileys & Emotion",
    "People & Body",
    "Animals & Nature",
    "Food & Drink",
    "Travel & Places",
    "Activities",
    "Objects",
    "Symbols",
    "Flags",
)

LLAMAGEN_TINY_TOKENIZER = TokenizerCard(
    name="llamagen-tiny-tokenizer",
    family="tokenizer",
    summary="Shipped: a small VQ tokenizer for 32 px, 8 x 8 codes, trained on emoji64",
    parameters=1_917_067,
    image_size=32,
    tokens=64,
    codebook_size=1024,
    load=LOAD_TOKENIZER,
    count_parameters=COUNT,
    layout=LAYOUT,
    weights=WeightsFile(
        filename="llamagen-tiny-tokenizer.safetensors",
        bundled="dar_bench_llamagen:weights/llamagen-tiny-tokenizer.safetensors",
        sha256="2db450f96a7930c34ce0a1baef22ef44337a98fff8d26a1170d16448826fd864",
        license="Apache-2.0",
    ),
    config={
        "image_size": 32,
        "codebook_size": 1024,
        "width": 32,
        "multipliers": (1, 2, 3),
        "blocks": 1,
        "latent": 64,
    },
)

LLAMAGEN_TINY = GeneratorCard(
    name="llamagen-tiny",
    family="vanilla AR",
    summary="Shipped: a small Llama over llamagen-tiny-tokenizer's 8 x 8 codes, trained on emoji64",
    parameters=1_837_952,
    image_size=32,
    num_classes=9,
    class_names=EMOJI_CLASSES,
    tokenizer=LLAMAGEN_TINY_TOKENIZER.name,
    reference="emoji64:train",
    load=LOAD_GENERATOR,
    count_parameters=COUNT,
    layout=LAYOUT,
    weights=WeightsFile(
        filename="llamagen-tiny.safetensors",
        bundled="dar_bench_llamagen:weights/llamagen-tiny.safetensors",
        sha256="4488a49ec9bc42cd19a52e093dc01cbec53480a7a17641bd4fa9654a56019866",
        license="Apache-2.0",
    ),
    options=autoregressive_options(),
    config={
        "layers": 6,
        "heads": 2,
        "dim": 128,
        "codebook_size": 1024,
        "num_tokens": 64,
        "num_classes": 9,
    },
)

CARDS = (
    LLAMAGEN_TOKENIZER,
    LLAMAGEN_TOKENIZER_384,
    LLAMAGEN_TOKENIZER_512,
    LLAMAGEN_TOKENIZER_DS8,
    LLAMAGEN_TOKENIZER_4096,
    *GENERATORS,
    LLAMAGEN_TINY_TOKENIZER,
    LLAMAGEN_TINY,
)
