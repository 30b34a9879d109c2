"""DiT, scalable diffusion models with transformers (Peebles and Xie, 2023), as a dar-bench plugin."""

from __future__ import annotations

from dar_bench.api import CommandSpec, Plugin
from dar_bench_dit.cards import CARDS

plugin = Plugin(
    name="dit",
    summary="DiT: diffusion transformers with the published sampler, and their training",
    cards=CARDS,
    commands=(
        CommandSpec(
            group="train",
            name="dit",
            target="dar_bench_dit.train.commands:dit",
            help="Train a diffusion transformer on latents or pixels.",
            smoke=(
                *("--recipe", "dit-tiny", "--data", "{images}", "--out", "{out}"),
                *("--set", "train.steps=1", "--set", "train.batch_size=4", "--set", "evaluation.samples=0"),
            ),
        ),
    ),
    open_folder="dar_bench_dit.export:open_export",
)
