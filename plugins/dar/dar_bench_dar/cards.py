"""The D-AR part of the zoo, as data: loads no framework.

Scores are the paper's; the table and row are named beside each.
"""

from __future__ import annotations

from dar_bench.api import GeneratorCard, Option, ReportedScore, TokenizerCard, WeightsFile
from dar_bench.sampling.options import autoregressive_options

PUBLISHED = "https://huggingface.co/showlab/D-AR/resolve/main/"
LICENSE = "MIT"
LOAD_TOKENIZER = "dar_bench_dar.load:load_tokenizer"
LOAD_GENERATOR = "dar_bench_dar.load:load_generator"
COUNT = "dar_bench_dar.load:count_card"
LAYOUT = "dar_bench_dar.load:layout"

SOLVERS = "euler, adams2 (as published), ab2 (variable step), heun, midpoint"

AR_OPTIONS = autoregressive_options()


def decode_options(tokens: int, groups: int) -> tuple[Option, ...]:
    """Return the options of pixel decoding for a tokenizer of these sizes."""
    return (
        Option(name="solver", type="str", default="adams2", help=SOLVERS, registered="solvers"),
        Option(
            name="steps",
            type="int",
            default=groups,
            minimum=1,
            maximum=1000,
            help="diffusion steps of a full decoding",
        ),
        Option(
            name="tokens",
            type="int",
            default=tokens,
            minimum=tokens // groups,
            maximum=tokens,
            help="decode from the first so many tokens, jumping to the estimate (paper, Table 5)",
        ),
        Option(
            name="jump",
            type="str",
            default="solver",
            choices=("solver", "velocity"),
            help="previews follow the solver's slope (published code) or the velocity (the paper's formula)",
        ),
    )


def _table_2(steps: str, solver: str, rfid: float, note: str = "") -> ReportedScore:
    return ReportedScore(
        source="D-AR Table 2",
        row=f"{steps} steps, {solver}",
        scores={"rFID": rfid},
        options={"steps": steps, "solver": solver},
        note=note,
    )


DAR_TOKENIZER = TokenizerCard(
    name="dar-tokenizer",
    family="tokenizer",
    summary="Sequential diffusion tokenizer, 16384 codes (paper section 3.1)",
    parameters=300_099_776,
    image_size=256,
    tokens=256,
    codebook_size=16384,
    groups=8,
    load=LOAD_TOKENIZER,
    count_parameters=COUNT,
    layout=LAYOUT,
    weights=WeightsFile(
        filename="D-AR-tokenizer_v1.pt",
        url=PUBLISHED + "D-AR-tokenizer_v1.pt",
        license=LICENSE,
        convert="dar_bench_dar.weights:convert_tokenizer",
    ),
    options=decode_options(256, 8),
    reported=(
        ReportedScore(
            source="D-AR Table 1",
            row="ours, 16384",
            scores={"rFID": 1.58},
            options={"steps": "8", "solver": "euler"},
        ),
        _table_2("4", "euler", 2.35),
        _table_2("8", "euler", 1.58),
        _table_2("8", "adams2", 1.52, "The figure of the abstract."),
        _table_2("12", "euler", 1.73),
        _table_2("16", "euler", 1.93),
    ),
)

DAR_TOKENIZER_4096 = TokenizerCard(
    name="dar-tokenizer-4096",
    family="tokenizer",
    summary="The tokenizer fine-tuned to 4096 codes (paper, Table 1)",
    parameters=300_099_776 - (16384 - 4096) * 8,
    image_size=256,
    tokens=256,
    codebook_size=4096,
    groups=8,
    load=LOAD_TOKENIZER,
    count_parameters=COUNT,
    layout=LAYOUT,
    weights=WeightsFile(
        filename="",
        license=LICENSE,
        convert="dar_bench_dar.weights:convert_tokenizer",
        note="No checkpoint of this row was published; train it or import your own.",
    ),
    options=decode_options(256, 8),
    config={"codebook_size": 4096},
    reported=(
        ReportedScore(
            source="D-AR Table 1",
            row="ours, 4096",
            scores={"rFID": 1.84},
            options={"steps": "8", "solver": "euler"},
        ),
    ),
)

# Groups and beta shape no weight, so one card serves all rows of tables 6 and 7.
ABLATION_OPTIONS = (
    *(option for option in decode_options(256, 8) if option.name not in ("steps", "tokens")),
    Option(name="groups", type="str", default="8", choices=("1", "4", "8", "16"), help="K, condition groups"),
    Option(name="beta", type="str", default="2", choices=("1", "2", "4"), help="time shift of the training"),
    Option(
        name="steps",
        type="int",
        default=0,
        minimum=0,
        maximum=1000,
        help="diffusion steps of a full decoding; 0 takes one per group",
    ),
    Option(
        name="tokens",
        type="int",
        default=256,
        minimum=256 // 16,
        maximum=256,
        help="decode from the first so many tokens; at least one group",
    ),
)

ABLATION_SIZES = {"width": 512, "decoder_width": 512, "decoder_depth": 8}

DAR_ABLATION_TOKENIZER = TokenizerCard(
    name="dar-ablation-tokenizer",
    family="tokenizer",
    summary="Light tokenizer of the appendix: width 512, 8 decoder blocks; groups 1, 4, 8, 16 and beta 1, 2, 4",
    parameters=106_612_928,  # the paper's 113M count the alignment head of the training, 6,817,536
    image_size=256,
    tokens=256,
    codebook_size=16384,
    groups=8,
    load=LOAD_TOKENIZER,
    count_parameters=COUNT,
    layout=LAYOUT,
    weights=WeightsFile(
        filename="",
        license=LICENSE,
        convert="dar_bench_dar.weights:convert_tokenizer",
        note="No checkpoint was published; train it with the recipe dar-ablation-tokenizer.",
    ),
    options=ABLATION_OPTIONS,
    config=ABLATION_SIZES,
    reported=tuple(
        ReportedScore(
            source=source,
            row=row,
            scores={"rFID": rfid, "codebook utilization (%)": used, **({"gFID": gfid} if gfid else {})},
            options={"groups": groups, "beta": beta, "steps": "16" if groups == "16" else "8"},
        )
        for source, row, groups, beta, rfid, used, gfid in (
            ("D-AR Table 6", "beta 1", "8", "1", 39.75, 97.8, 0.0),
            ("D-AR Table 6", "beta 2", "8", "2", 28.65, 99.4, 0.0),
            ("D-AR Table 6", "beta 4", "8", "4", 27.10, 99.8, 0.0),
            ("D-AR Table 7", "K 1", "1", "2", 23.18, 99.0, 52.91),
            ("D-AR Table 7", "K 4", "4", "2", 23.04, 99.5, 53.70),
            ("D-AR Table 7", "K 8", "8", "2", 28.65, 99.4, 54.26),
            ("D-AR Table 7", "K 16", "16", "2", 49.07, 91.5, 63.69),
        )
    ),
)


def _table_4(
    schedule: str, fid: float, inception: float, precision: float, recall: float, note: str
) -> ReportedScore:
    return ReportedScore(
        source="D-AR Table 4",
        row=schedule,
        scores={"FID": fid, "IS": inception, "precision": precision, "recall": recall},
        options={"cfg": schedule},
        note=note,
    )


def _table_5(tokens: str, fid: float, inception: float, precision: float, recall: float) -> ReportedScore:
    return ReportedScore(
        source="D-AR Table 5",
        row=f"{tokens} tokens",
        scores={"FID": fid, "IS": inception, "precision": precision, "recall": recall},
        options={"cfg": "linear:1.1-8.0", "tokens": tokens},
    )


SCRIPT_NOTE = "The published evaluation script runs 1.2 to 8.0 where the paper says 1.1 to 8.0."


def _imagenet_generator(
    name: str, summary: str, parameters: int, preset: str, filename: str, reported: tuple[ReportedScore, ...]
) -> GeneratorCard:
    return GeneratorCard(
        name=name,
        family="vanilla AR",
        summary=summary,
        parameters=parameters,
        image_size=256,
        num_classes=1000,
        tokenizer=DAR_TOKENIZER.name,
        reference="imagenet-256-train",
        load=LOAD_GENERATOR,
        count_parameters=COUNT,
        layout=LAYOUT,
        weights=WeightsFile(
            filename=filename,
            url=PUBLISHED + filename if filename else "",
            license=LICENSE,
            convert="dar_bench_dar.weights:convert_ar",
            note="" if filename else "No checkpoint was published; train it with the recipe dar-b.",
        ),
        options=AR_OPTIONS + DAR_TOKENIZER.options,
        config={"preset": preset},
        reported=reported,
    )


DAR_B = _imagenet_generator("dar-b", "D-AR-B: the appendix's Llama of 12 layers", 110_888_448, "b", "", ())

DAR_L = _imagenet_generator(
    "dar-l",
    "D-AR-L: Llama of 24 layers over the tokenizer's 256 codes",
    342_910_976,
    "l",
    "D-AR-L-360K.pt",
    (
        ReportedScore(
            source="D-AR Table 3",
            row="D-AR-L",
            scores={"FID": 2.44, "IS": 262.97, "precision": 0.78, "recall": 0.61},
            options={"cfg": "linear:1.1-8.0"},
            note=SCRIPT_NOTE,
        ),
        _table_4("none", 7.43, 117.60, 0.71, 0.63, ""),
        _table_4("1.5", 3.50, 245.22, 0.83, 0.54, ""),
        _table_4("1.75", 4.70, 291.76, 0.86, 0.50, ""),
        _table_4("linear:1.1-8.0", 2.44, 262.97, 0.78, 0.61, SCRIPT_NOTE),
        _table_5("64", 7.38, 165.25, 0.74, 0.48),
        _table_5("128", 3.94, 227.74, 0.78, 0.54),
        _table_5("192", 2.93, 257.08, 0.80, 0.57),
        _table_5("256", 2.44, 262.97, 0.78, 0.61),
    ),
)

DAR_XL = _imagenet_generator(
    "dar-xl",
    "D-AR-XL: Llama of 36 layers over the tokenizer's 256 codes",
    774_699_520,
    "xl",
    "D-AR-XL-360K.pt",
    (
        ReportedScore(
            source="D-AR Table 3",
            row="D-AR-XL",
            scores={"FID": 2.09, "IS": 298.42, "precision": 0.79, "recall": 0.62},
            options={"cfg": "linear:1.1-10.0"},
            note="Table 4 prints precision 0.78 for the same run.",
        ),
        _table_4("none", 5.11, 145.78, 0.73, 0.64, ""),
        _table_4("1.5", 3.39, 276.37, 0.84, 0.55, ""),
        _table_4(
            "linear:1.1-10.0", 2.09, 298.42, 0.78, 0.62, "Table 3 prints precision 0.79 for the same run."
        ),
    ),
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

TINY_SIZES = {
    "image_size": 32,
    "tokens": 64,
    "groups": 4,
    "codebook_size": 1024,
    "width": 128,
    "encoder_depth": 3,
    "token_decoder_depth": 2,
    "patch_size": 4,
    "query_rows": 64,
    "decoder_width": 128,
    "decoder_depth": 6,
    "decoder_patch_size": 4,
}

DAR_TINY_TOKENIZER = TokenizerCard(
    name="dar-tiny-tokenizer",
    family="tokenizer",
    summary="Shipped: a small sequential diffusion tokenizer for 32 px, trained on emoji64",
    parameters=3_625_904,
    image_size=32,
    tokens=64,
    codebook_size=1024,
    groups=4,
    load=LOAD_TOKENIZER,
    count_parameters=COUNT,
    layout=LAYOUT,
    weights=WeightsFile(
        filename="dar-tiny-tokenizer.safetensors",
        bundled="dar_bench_dar:weights/dar-tiny-tokenizer.safetensors",
        sha256="f502b57366bdc276ef1919a633fb9d260fdd019086c065c3bd24c00dfdb5b9d0",
        license="Apache-2.0",
    ),
    options=decode_options(64, 4),
    config=TINY_SIZES,
)

DAR_TINY = GeneratorCard(
    name="dar-tiny",
    family="vanilla AR",
    summary="Shipped: a small Llama over dar-tiny-tokenizer's 64 codes, trained on emoji64",
    parameters=1_837_952,
    image_size=32,
    num_classes=9,
    class_names=EMOJI_CLASSES,
    tokenizer=DAR_TINY_TOKENIZER.name,
    reference="emoji64:train",
    load=LOAD_GENERATOR,
    count_parameters=COUNT,
    layout=LAYOUT,
    weights=WeightsFile(
        filename="dar-tiny.safetensors",
        bundled="dar_bench_dar:weights/dar-tiny.safetensors",
        sha256="12d0b7ad10f20c6729afb7d13237a731f8af1cf56c64cdefcfaa9b240ac130ab",
        license="Apache-2.0",
    ),
    options=AR_OPTIONS + DAR_TINY_TOKENIZER.options,
    config={"preset": "tiny"},
)

CARDS = (
    DAR_TOKENIZER,
    DAR_TOKENIZER_4096,
    DAR_ABLATION_TOKENIZER,
    DAR_B,
    DAR_L,
    DAR_XL,
    DAR_TINY_TOKENIZER,
    DAR_TINY,
)
