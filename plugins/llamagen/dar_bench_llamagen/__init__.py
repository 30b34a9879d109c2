"""LlamaGen, next-token prediction on VQ codes (Sun et al., 2024, arXiv 2406.06525), as a dar-bench plugin."""

from __future__ import annotations

from dar_bench.api import CommandSpec, Plugin
from dar_bench_llamagen.cards import CARDS

# One step on a few images, on the CPU.
SMOKE = ("--set", "train.steps=1", "--set", "train.batch_size=4", "--set", "train.device=cpu")

plugin = Plugin(
    name="llamagen",
    summary="LlamaGen: VQ tokenizers and Llama generators, with their training",
    cards=CARDS,
    commands=(
        CommandSpec(
            group="train",
            name="llamagen-tokenizer",
            target="dar_bench_llamagen.train.commands:tokenizer",
            help="Train a LlamaGen VQ tokenizer.",
            smoke=(
                *("--recipe", "llamagen-tiny-tokenizer", "--data", "{images}", "--val", "{images}"),
                *("--out", "{out}", "--set", "loss.adversarial_start=0", *SMOKE),
            ),
        ),
        CommandSpec(
            group="train",
            name="llamagen-ar",
            target="dar_bench_llamagen.train.commands:ar",
            help="Train a LlamaGen autoregressive model on a tokenizer's codes.",
            smoke=("--recipe", "llamagen-tiny", "--data", "{images}", "--out", "{out}", *SMOKE),
        ),
    ),
    open_folder="dar_bench_llamagen.export:open_export",
)
