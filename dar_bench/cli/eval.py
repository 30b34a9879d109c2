"""``dar-bench eval``: the group of measurements."""

from __future__ import annotations

import click

from dar_bench.cli.groups import LazyGroup
from dar_bench.cli.help import examples


@click.group(
    name="eval",
    cls=LazyGroup,
    lazy={
        "rfid": ("dar_bench.cli.eval_models:rfid", "Measure how well a tokenizer reconstructs images."),
        "gfid": (
            "dar_bench.cli.eval_models:gfid",
            "Measure how near a generator's images are to a reference.",
        ),
        "images": ("dar_bench.cli.eval_images:images", "Measure images that are there already."),
        "classes": ("dar_bench.cli.eval_classes:classes", "Measure every class of images by itself."),
    },
    epilog=examples(
        "dar-bench eval images reference.npz samples.npz",
        "dar-bench eval rfid --tokenizer dar-tiny-tokenizer",
        "dar-bench eval gfid --model dar-tiny --cfg 2.0",
    ),
)
def eval_group() -> None:
    """Measure reconstruction or generation.

    Every score is named after the extractor that it rests on: distances on the features of efficientnet-lite0
    are FD[efficientnet-lite0], another quantity than FID, and do not compare with it.
    """
