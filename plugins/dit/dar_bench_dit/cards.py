"""The DiT part of the zoo, as data: loads no framework.

Scores are the paper's (Peebles and Xie, arXiv 2212.09748); the table and row are named beside each. They were made with
250 DDPM steps and the ft-ema autoencoder, 50,000 images of classes drawn evenly.
"""

from __future__ import annotations

from dar_bench.api import GeneratorCard, Option, ReportedScore, WeightsFile

PUBLISHED = "https://dl.fbaipublicfiles.com/DiT/models/"
LICENSE = "CC-BY-NC-4.0"
LOAD = "dar_bench_dit.load:load_generator"
COUNT = "dar_bench_dit.load:count_card"
LAYOUT = "dar_bench_dit.load:layout"
CONVERT = "dar_bench_dit.weights:convert"

NUMBERS_NOTE = (
    "The number is that of the original JAX weights; this port in float32 gave its authors FID 2.21."
)
CHECK_OPTIONS = {"steps": "10"}


def sampling_options(*, cfg: str, steps: int, solver: str) -> tuple[Option, ...]:
    """Return the options of every DiT, with these defaults."""
    return (
        Option(
            name="cfg",
            type="schedule",
            default=cfg,
            help="guidance: none, 1.5, linear:1.1-8.0, cosine:.., power:.., interval:..; over the steps",
        ),
        Option(
            name="steps",
            type="int",
            default=steps,
            minimum=1,
            maximum=1000,
            help="diffusion steps, spread evenly over the 1000 of the training",
        ),
        Option(
            name="solver",
            type="str",
            default=solver,
            choices=("ddpm", "ddim"),
            help="ddpm draws with the learned variance, as published; ddim draws nothing after the start",
        ),
    )


GUIDED_CHANNELS = Option(
    name="guided-channels",
    type="str",
    default="first-three",
    choices=("first-three", "all"),
    help="latent channels that guidance acts on; the published numbers have three of the four",
)


def _table(
    table: str, row: str, cfg: str, fid: float, sfid: float, inception: float, precision: float, recall: float
) -> ReportedScore:
    return ReportedScore(
        source=f"DiT {table}",
        row=row,
        scores={"FID": fid, "sFID": sfid, "IS": inception, "precision": precision, "recall": recall},
        options={"cfg": cfg, "steps": "250", "solver": "ddpm", "guided-channels": "first-three"},
        note=f"Decoded with sd-vae-ft-ema. {NUMBERS_NOTE}" if cfg == "1.5" and fid == 2.27 else "",
    )


def _imagenet(size: int, parameters: int, reported: tuple[ReportedScore, ...]) -> GeneratorCard:
    filename = f"DiT-XL-2-{size}x{size}.pt"
    return GeneratorCard(
        name="dit-xl-2" if size == 256 else f"dit-xl-2-{size}",
        aliases=("dit-xl",) if size == 256 else (),  # as the D-AR paper's Table 3 calls it
        family="diffusion",
        summary=f"DiT-XL/2 at {size} px: latent diffusion transformer of 28 blocks, patches of 2",
        parameters=parameters,
        image_size=size,
        num_classes=1000,
        autoencoder="sd-vae-ft-ema",
        reference=f"imagenet-{size}-train",
        load=LOAD,
        count_parameters=COUNT,
        layout=LAYOUT,
        weights=WeightsFile(filename=filename, url=PUBLISHED + filename, license=LICENSE, convert=CONVERT),
        options=(*sampling_options(cfg="1.5", steps=250, solver="ddpm"), GUIDED_CHANNELS),
        check_options=CHECK_OPTIONS,
        config={"size": "xl", "input_size": size // 8, "patch_size": 2},
        reported=reported,
    )


DIT_XL_2 = _imagenet(
    256,
    675_129_632,  # with the table of places, as the checkpoint stores it; 674,834,720 of them were trained
    (
        _table("Table 2", "DiT-XL/2", "none", 9.62, 6.85, 121.50, 0.67, 0.67),
        _table("Table 2", "DiT-XL/2-G (cfg=1.25)", "1.25", 3.22, 5.28, 201.77, 0.76, 0.62),
        _table("Table 2", "DiT-XL/2-G (cfg=1.50)", "1.5", 2.27, 4.60, 278.24, 0.83, 0.57),
        ReportedScore(
            source="D-AR Table 3",
            row="DiT-XL",
            scores={"FID": 2.27, "IS": 278.2, "precision": 0.83, "recall": 0.57},
            options={"cfg": "1.5", "steps": "250", "solver": "ddpm", "guided-channels": "first-three"},
        ),
    ),
)

DIT_XL_2_512 = _imagenet(
    512,
    676_014_368,
    (
        _table("Table 3", "DiT-XL/2", "none", 12.03, 7.12, 105.25, 0.75, 0.64),
        _table("Table 3", "DiT-XL/2-G (cfg=1.25)", "1.25", 4.64, 5.77, 174.77, 0.81, 0.57),
        _table("Table 3", "DiT-XL/2-G (cfg=1.50)", "1.5", 3.04, 5.02, 240.82, 0.84, 0.54),
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
    "input_size": 32,
    "patch_size": 4,
    "channels": 3,
    "width": 128,
    "depth": 6,
    "heads": 4,
    "num_classes": 9,
    "pixel_scale": 0.3,
}

DIT_TINY = GeneratorCard(
    name="dit-tiny",
    family="diffusion",
    summary="Shipped: a small diffusion transformer on the pixels of 32 px, trained on emoji64",
    parameters=1_891_552,
    image_size=32,
    num_classes=9,
    class_names=EMOJI_CLASSES,
    reference="emoji64:train",
    load=LOAD,
    count_parameters=COUNT,
    layout=LAYOUT,
    weights=WeightsFile(
        filename="dit-tiny.safetensors",
        bundled="dar_bench_dit:weights/dit-tiny.safetensors",
        sha256="23d6d5e57d0ee8cc78b55c46496b746c9ae482cee43464c22130cc456addbe90",
        license="Apache-2.0",
    ),
    options=sampling_options(cfg="3.0", steps=25, solver="ddim"),
    check_options=CHECK_OPTIONS,
    config=TINY_SIZES,
)

CARDS = (DIT_XL_2, DIT_XL_2_512, DIT_TINY)
