"""D-AR, diffusion via autoregressive models (Gao and Shou, 2025), as a dar-bench plugin."""

from __future__ import annotations

from dar_bench.api import CommandSpec, DatasetSpec, Plugin
from dar_bench_dar.cards import CARDS, EMOJI_CLASSES

# One step on a few images, in float32 on the CPU, without the perceptual network's cost.
SMOKE = ("--set", "train.steps=1", "--set", "train.batch_size=4", "--set", "train.device=cpu")

plugin = Plugin(
    name="dar",
    summary="D-AR: sequential diffusion tokenizer and Llama generators, with their training",
    cards=CARDS,
    commands=(
        CommandSpec(
            group="train",
            name="tokenizer",
            target="dar_bench_dar.train.commands:tokenizer",
            help="Train a D-AR sequential diffusion tokenizer.",
            smoke=(
                "--recipe",
                "dar-tiny-tokenizer",
                "--data",
                "{images}",
                "--val",
                "{images}",
                "--out",
                "{out}",
                *SMOKE,
            ),
        ),
        CommandSpec(
            group="train",
            name="ar",
            target="dar_bench_dar.train.commands:ar",
            help="Train a D-AR autoregressive model on a tokenizer's codes.",
            smoke=("--recipe", "dar-tiny", "--data", "{images}", "--out", "{out}", *SMOKE),
        ),
    ),
    datasets=(
        DatasetSpec(
            name="emoji64",
            splits={
                "train": "dar_bench_dar:data/emoji64/train.parquet",
                "val": "dar_bench_dar:data/emoji64/val.parquet",
            },
            summary="5 k emoji drawings of 64 px in nine classes",
            class_names=EMOJI_CLASSES,
            license="Noto Emoji: Apache-2.0; Twemoji: CC-BY-4.0",
            role={"train": "generation", "val": "reconstruction"},
        ),
    ),
    open_folder="dar_bench_dar.export:open_export",
)
