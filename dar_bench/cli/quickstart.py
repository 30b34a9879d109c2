"""``dar-bench quickstart``: the whole road, offline, on shipped models and images."""

from __future__ import annotations

from pathlib import Path

import click

from dar_bench.cli.help import examples


@click.command(epilog=examples("dar-bench quickstart", "dar-bench quickstart --samples 100 --out /tmp/look"))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("quickstart"),
    show_default=True,
    help="Folder for all.",
)
@click.option("--images", type=click.IntRange(min=16), help="Held-out images to score.  [default: all]")
@click.option(
    "--samples",
    type=click.IntRange(min=16),
    default=400,
    show_default=True,
    help="Images to generate and score with every guidance schedule.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of everything.")
@click.option("--model", help="Generator to walk with.  [default: the first that ships with its plugin]")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print the summary as JSON; the story goes to standard error."
)
def quickstart(
    out: Path, images: int | None, samples: int, seed: int, model: str | None, device: str, as_json: bool
) -> None:
    """Walk the whole road on the shipped models and images, offline, in minutes.

    Reconstructs held-out images, generates images of every class with streamed previews, scores both,
    compares guidance schedules and writes sheets and records. A folder of an earlier quickstart is replaced.
    """
    from dar_bench.console import print_json
    from dar_bench.quickstart.narration import Narration
    from dar_bench.quickstart.plan import make_plan
    from dar_bench.quickstart.walk import walk

    plan = make_plan(out, model=model, images=images, samples=samples, seed=seed, device=device)
    summary = walk(plan, Narration(aside=as_json))
    if as_json:
        print_json(summary)
