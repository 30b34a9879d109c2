"""``dar-bench lint``: what would move the scores of a sample set without anyone noticing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dar_bench.cli.help import examples
from dar_bench.errors import EXIT_CHECK_FAILED

if TYPE_CHECKING:
    from dar_bench.lint.findings import Finding


@click.command(
    epilog=examples(
        "dar-bench lint samples.npz",
        "dar-bench lint samples/ --size 256 --classes 1000 --strict",
        "dar-bench lint samples.npz --extractor efficientnet-lite0 --json",
    )
)
@click.argument("samples")
@click.option(
    "--count",
    type=click.IntRange(min=0),
    default=50_000,
    show_default=True,
    help="Samples that the protocol asks for; 0 for any number.",
)
@click.option("--size", type=click.IntRange(min=1), help="Side in pixels that the images should have.")
@click.option("--classes", type=click.IntRange(min=1), help="Number of classes.  [default: from the labels]")
@click.option("--uneven-labels", is_flag=True, help="Classes need not come equally often.")
@click.option(
    "--extractor",
    help="Extract these features too: shows the order where there are no labels, copies and rank.",
)
@click.option("--device", default="auto", show_default=True, help="Where features are extracted.")
@click.option("--ignore", multiple=True, metavar="RULE", help="Leave out a rule; may be repeated.")
@click.option("--strict", is_flag=True, help="Exit with 1 when a warning or an error is found.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def lint(
    ctx: click.Context,
    samples: str,
    count: int,
    size: int | None,
    classes: int | None,
    uneven_labels: bool,
    extractor: str | None,
    device: str,
    ignore: tuple[str, ...],
    strict: bool,
    as_json: bool,
) -> None:
    """Look over SAMPLES (a folder, .zip, .npz, Parquet or tar shards) before they are scored.

    Every finding says what was seen and which score it moves: class-sorted order, counts, imbalance, copies,
    sizes, value ranges, truncated levels, traces of JPEG, NaN.
    """
    from dar_bench.console import print_json, progress
    from dar_bench.errors import unknown_name
    from dar_bench.lint import RULES, Expectations, failures
    from dar_bench.lint.samples import lint_samples
    from dar_bench.wording import counted

    for rule in ignore:
        if rule not in RULES:
            raise unknown_name("lint rule", rule, RULES)
    network = None
    if extractor is not None:
        from dar_bench.devices import choose_device
        from dar_bench.features.names import load_extractor

        network = load_extractor(extractor, choose_device(device))
    expect = Expectations(count=count or None, size=size, classes=classes, even_labels=not uneven_labels)
    with progress(f"Reading {samples}", None) as bar:
        report = lint_samples(samples, expect, extractor=network, on_images=bar.advance)
    findings = [one for one in report.findings if one.rule not in ignore]
    if as_json:
        print_json(
            {
                "samples": report.samples,
                "count": report.count,
                "findings": [one.as_json() for one in findings],
            }
        )
    else:
        print_findings(findings, title=f"{report.samples}: {counted(report.count, 'image')}")
    if failures(findings, strict=strict):
        ctx.exit(EXIT_CHECK_FAILED)


def print_findings(findings: list[Finding], *, title: str = "") -> None:
    """Print findings to standard output, three lines each: what was seen, its effect, what to do."""
    from dar_bench.console import console

    if title:
        console.print(title, style="bold")
    if not findings:
        console.print("Nothing found.")
    for one in findings:
        console.print(f"{one.severity}: {one.rule} (moves {', '.join(one.metrics)})")
        for line in (one.seen, one.effect, one.remedy):
            console.print(f"  {line}")
