"""Peak memory of an evaluation as a stream, by the number of samples, and what it comes to for 50,000.

    python benchmarks/memory.py
    python benchmarks/memory.py --counts 2000,8000 --json

Images of --size pixels are made at random in batches of 32, become features as wide as those of the 2015 Inception
network (2048 pooled, 1008 probabilities, 2023 spatial values; no network runs), and are forgotten. Each count is
measured in a process of its own, both ways that keep the features of a run:

    features    what 'eval' and 'sweep' hold until the scores are computed
    npz         what 'sample --npz' holds: nothing, for the archive is a stream

The growth per sample between the smallest and the largest count is what a further sample costs.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
import torch
from measuring import machine, show_machine

from dar_bench.evaluation.extraction import extract_each
from dar_bench.features.base import Features
from dar_bench.npz_writer import write_npz

BATCH = 32
TARGET = 50_000
MEBIBYTE = 2**20


class WideExtractor:
    """Features as wide as Inception's, of no meaning."""

    name = "wide"

    def fingerprint(self) -> str:
        """Return a name."""
        return "wide"

    def extract(self, images: torch.Tensor) -> Features:
        """Return zeros that are really there."""
        count = len(images)
        pool, probabilities, spatial = (np.ones((count, width), np.float32) for width in (2048, 1008, 2023))
        return Features(
            pool=pool,
            probabilities=probabilities,
            spatial=spatial,
            extractor=self.name,
            fingerprint=self.fingerprint(),
        )


def images(count: int, size: int) -> Iterator[torch.Tensor]:
    """Yield batches of random images."""
    for start in range(0, count, BATCH):
        yield torch.randint(0, 256, (min(BATCH, count - start), 3, size, size), dtype=torch.uint8)


def features(count: int, size: int) -> None:
    """Hold the features of all images."""
    extract_each([WideExtractor()], images(count, size))


def npz(count: int, size: int) -> None:
    """Write an archive."""
    with (
        tempfile.TemporaryDirectory() as folder,
        write_npz(Path(folder) / "samples.npz", count, size) as stream,
    ):
        for batch in images(count, size):
            stream.add(batch, [0] * len(batch))


def peak(run: Callable[[int, int], None], count: int, size: int) -> int:
    """Return the bytes by which a run raises the peak of a fresh process."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(run, count, size, sender))
    process.start()
    grown: int = receiver.recv()
    process.join()
    return grown


def _measure(run: Callable[[int, int], None], count: int, size: int, sender: object) -> None:
    run(BATCH, size)  # libraries and buffers that any run needs
    before = _highest()
    run(count, size)
    sender.send(_highest() - before)  # type: ignore[attr-defined]


def _highest() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@click.command(help=__doc__)
@click.option("--counts", default="1000,4000", show_default=True, help="Two counts of samples.")
@click.option("--size", type=click.IntRange(min=8), default=256, show_default=True, help="Side in pixels.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(counts: str, size: int, as_json: bool) -> None:
    """Measure and print."""
    few, many = (int(text) for text in counts.split(","))
    results = []
    for name, run in (("features", features), ("npz", npz)):
        low, high = peak(run, few, size), peak(run, many, size)
        per_sample = (high - low) / (many - few)
        results.append(
            {
                "variant": name,
                "peak": {few: low, many: high},
                "bytes per sample": per_sample,
                f"peak of {TARGET}": low + per_sample * (TARGET - few),
            }
        )
    if as_json:
        print(json.dumps({"machine": machine("cpu"), "results": results}, indent=2))
        return
    show_machine("cpu")
    for result in results:
        whole = float(result[f"peak of {TARGET}"]) / MEBIBYTE  # type: ignore[arg-type]
        print(
            f"{result['variant']}: {result['bytes per sample']:.0f} bytes a sample, {TARGET} take {whole:.0f} MiB"
        )


if __name__ == "__main__":
    main()
