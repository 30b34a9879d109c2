"""``dar-bench report``: records as one self-contained HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from dar_bench.cli.help import examples


@click.command(
    epilog=examples(
        "dar-bench report",
        "dar-bench report --folder results --sample dar-tiny --cfg 2.0 -o report.html",
    )
)
@click.option(
    "--folder",
    "folders",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Folder of records; may be repeated.  [default: results]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("report.html"),
    show_default=True,
    help="File to write.",
)
@click.option("--title", default="dar-bench report", show_default=True, help="Heading of the page.")
@click.option(
    "--sample",
    "models",
    multiple=True,
    metavar="MODEL",
    help="Generate a sample of each class, with previews, and show it; may be repeated.",
)
@click.option(
    "--published/--no-published",
    default=True,
    show_default=True,
    help="Show the published tables that come with dar-bench beside the records.",
)
@click.option("--cfg", help="Guidance of these samples.  [default: the model's]")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of these samples.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def report(
    folders: tuple[Path, ...],
    output: Path,
    title: str,
    models: tuple[str, ...],
    published: bool,
    cfg: str | None,
    seed: int,
    device: str,
    as_json: bool,
) -> None:
    """Write one HTML file with everything that the records say.

    Leaderboard, curves over guidance and tokens, trade-offs, solver tables, pictures that lie beside the records,
    training curves; every number opens its record. The file needs no network and no server.
    """
    from dar_bench.console import console, note, print_json, progress
    from dar_bench.report.images import Picture, sampled_pictures
    from dar_bench.report.writing import write_report

    pictures: list[Picture] = []
    for model in models:
        with progress(f"Sampling {model}", 1) as bar:
            pictures += sampled_pictures(model, seed=seed, cfg=cfg, device=device)
            bar.advance()
    written = write_report(
        folders or (Path("results"),), output, title=title, pictures=pictures, published=published
    )
    for problem in written.problems:
        note(problem)
    if as_json:
        print_json(written.summary())
    else:
        console.print(f"Wrote {output}: {written.records} records, {written.pictures} pictures.")
