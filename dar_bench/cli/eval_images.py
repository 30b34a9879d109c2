"""``dar-bench eval images``: measure images that are there already, whoever made them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from dar_bench.cli.help import examples
from dar_bench.cli.measurements import finish, measurement_options, only_readable

if TYPE_CHECKING:
    from dar_bench.references.cards import Role


@click.command(
    epilog=examples(
        "dar-bench eval images VIRTUAL_imagenet256_labeled.npz samples.npz --evaluator native",
        "dar-bench eval images adm-imagenet256 samples/ --evaluator all",
        "dar-bench eval images emoji64:train samples.npz",
    )
)
@click.argument("reference")
@click.argument("samples")
@click.option(
    "--crop",
    type=click.IntRange(min=1),
    metavar="SIZE",
    help="Centre-crop the images of both sides to SIZE pixels.",
)
@click.option(
    "--purpose",
    type=click.Choice(["generation", "reconstruction"]),
    default="generation",
    show_default=True,
    help="What the samples are; a reference for the other purpose is refused.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of an evaluator's own choices."
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
@measurement_options
def images(
    reference: str,
    samples: str,
    crop: int | None,
    purpose: str,
    seed: int,
    device: str,
    evaluators: tuple[str, ...],
    force_reference: bool,
    strict: bool,
    skip_unreadable: bool,
    results: Path,
    as_json: bool,
) -> None:
    """Measure the images SAMPLES against REFERENCE.

    Each may be a folder, .zip, .npz (arr_0), Parquet files, tar shards, a shipped set (NAME:SPLIT), an .npz of
    statistics (mu, sigma), or a reference card ('dar-bench stats list'). Images are taken as they are, in
    file order.
    """
    from dar_bench.console import note, progress
    from dar_bench.devices import choose_device
    from dar_bench.evaluation.images import measure_images, samples_fingerprint
    from dar_bench.evaluation.linting import Watch, expectations, remark
    from dar_bench.evaluation.scoring import load_panel
    from dar_bench.evaluators.names import named_evaluators
    from dar_bench.lint import SampleLint
    from dar_bench.recording import images_record
    from dar_bench.references.opening import open_given
    from dar_bench.roles import check_role

    warning = check_role(reference, cast("Role", purpose), samples, forced=force_reference)
    if warning:
        note(warning)
    fixed, drawn = open_given(reference), open_given(samples)
    sides, skipped = [], []
    for given in (fixed, drawn):
        if skip_unreadable and given.source is not None:
            source, sentence = only_readable(given.source)
            sides.append(replace(given, source=source))
            skipped.append(sentence)
        else:
            sides.append(given)
    fixed, drawn = sides
    chosen = choose_device(device)
    panel = load_panel(named_evaluators(evaluators), chosen)
    watch = Watch(lint=SampleLint(expectations(panel, cropped=crop is not None)), strict=strict)
    total = sum(len(given.source) for given in (fixed, drawn) if given.source is not None)
    with progress("Reading images", total) as bar:
        measurement = measure_images(
            fixed, drawn, panel, crop=crop, seed=seed, watch=watch, on_images=bar.advance
        )
    remarks = " ".join(filter(None, (warning, *skipped, remark(measurement.findings))))
    records = [
        images_record(
            measurement,
            scored,
            samples=samples,
            fingerprint=samples_fingerprint(drawn, crop),
            crop=crop,
            purpose=purpose,
            seed=seed,
            device=chosen,
            note=remarks,
        )
        for scored in measurement.results
    ]
    finish(records, measurement, results, as_json)
