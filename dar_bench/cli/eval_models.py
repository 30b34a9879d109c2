"""``dar-bench eval rfid|gfid``: measure a tokenizer's reconstructions or a generator's images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from dar_bench.cli.help import examples
from dar_bench.cli.measurements import finish, measurement_options, only_readable
from dar_bench.cli.model_options import decoding_options, guidance_options, loading_options, model_options


@click.command(
    "rfid",
    epilog=examples(
        "dar-bench eval rfid --tokenizer dar-tiny-tokenizer",
        "dar-bench eval rfid --tokenizer dar-tokenizer --data '/data/imagenet/val-*.parquet' --solver euler",
        "dar-bench eval rfid --tokenizer sd-vae-ft-ema --data imagenet/val",
    ),
)
@click.option("--tokenizer", required=True, help="Name in the zoo, or export folder of a training run.")
@click.option(
    "--data", help="Images that the tokenizer was not trained on.  [default: the shipped held-out split]"
)
@click.option(
    "--limit", "--samples", "limit", type=click.IntRange(min=1), help="Take so many images, spread evenly."
)
@decoding_options
@loading_options
@measurement_options
def rfid(
    tokenizer: str,
    data: str | None,
    limit: int | None,
    options: tuple[str, ...],
    seed: int,
    batch_size: int,
    device: str,
    dtype: str,
    compiled: bool,
    weights: Path | None,
    evaluators: tuple[str, ...],
    force_reference: bool,
    strict: bool,
    skip_unreadable: bool,
    results: Path,
    as_json: bool,
    **given: Any,
) -> None:
    """Measure how well a tokenizer reconstructs images: rFD, PSNR, SSIM and, where it can be had, LPIPS.

    A continuous autoencoder may stand in place of a tokenizer: the mean of its latents is decoded.

    Under 'torchrun --nproc_per_node N -m dar_bench eval rfid ...' the processes share the images, and the scores
    are those of one process.
    """
    from dar_bench.console import note, progress
    from dar_bench.data import open_source
    from dar_bench.data.subset import spread
    from dar_bench.devices import load_options
    from dar_bench.evaluation.linting import Watch, expectations, remark
    from dar_bench.evaluation.measuring import assist_reconstruction, measure_reconstruction
    from dar_bench.evaluation.scoring import load_panel
    from dar_bench.evaluation.team import join_team
    from dar_bench.evaluators.names import named_evaluators
    from dar_bench.lint import SampleLint
    from dar_bench.loading import codec_card, load_codec
    from dar_bench.reconstruction import ReconstructionRun
    from dar_bench.recording import reconstruction_record
    from dar_bench.roles import check_role, held_out_data

    card = codec_card(tokenizer)
    complete = model_options(card, given, options)
    data = data or held_out_data()
    warning = check_role(data, "reconstruction", card.name, forced=force_reference)
    source = spread(open_source(data), limit)
    skipped = ""
    if skip_unreadable:
        source, skipped = only_readable(source)
    team = join_team()
    loading = load_options(team.device(device), dtype, compiled)
    panel = load_panel(named_evaluators(evaluators), loading.device)
    loaded = load_codec(card, loading, weights)
    run = ReconstructionRun(source=source, seed=seed, options=complete, batch_size=batch_size)
    if not team.is_main:
        assist_reconstruction(loaded, run, panel, team)
        return
    if warning:
        note(warning)
    watch = Watch(lint=SampleLint(expectations(panel, size=card.image_size)), strict=strict)
    with progress(f"Reconstructing {data}", len(source)) as bar:
        measurement = measure_reconstruction(
            loaded, run, panel, watch=watch, team=team, on_images=bar.advance
        )
    remarks = " ".join(filter(None, (warning, skipped, remark(measurement.findings))))
    records = [
        reconstruction_record(loaded, measurement, scored, options=complete, seed=seed, note=remarks)
        for scored in measurement.results
    ]
    finish(records, measurement, results, as_json)


@click.command(
    "gfid",
    epilog=examples(
        "dar-bench eval gfid --model dar-tiny --cfg linear:1.0-4.0 --samples 2000",
        "dar-bench eval gfid --model dar-l --cfg linear:1.1-8.0 --samples 50000 --reference imagenet256.npz",
    ),
)
@click.option("--model", required=True, help="Name in the zoo, or export folder of a training run.")
@click.option(
    "--samples", type=click.IntRange(min=1), default=1000, show_default=True, help="Images to generate."
)
@click.option(
    "--reference", help="Data to compare with.  [default: the model's own, see 'dar-bench models NAME']"
)
@click.option(
    "--reference-limit", type=click.IntRange(min=1), help="Take so many of its images, spread evenly."
)
@click.option(
    "--labels",
    type=click.Choice(["balanced", "uniform", "reference"]),
    help="Classes in turn, drawn evenly, or drawn as often as in the reference.  "
    "[default: reference where it has labels, else balanced]",
)
@guidance_options
@decoding_options
@loading_options
@measurement_options
def gfid(
    model: str,
    samples: int,
    reference: str | None,
    reference_limit: int | None,
    labels: str | None,
    options: tuple[str, ...],
    seed: int,
    batch_size: int,
    device: str,
    dtype: str,
    compiled: bool,
    weights: Path | None,
    evaluators: tuple[str, ...],
    force_reference: bool,
    strict: bool,
    skip_unreadable: bool,
    results: Path,
    as_json: bool,
    **given: Any,
) -> None:
    """Measure how near a generator's images are to a reference set.

    Under 'torchrun --nproc_per_node N -m dar_bench eval gfid ...' the processes share the generation, and the
    scores are those of one process.

    The scores: Frechet distance, kernel distance, inception score, precision, recall, density and coverage.
    """
    from dar_bench.console import note, progress
    from dar_bench.devices import load_options
    from dar_bench.evaluation.extraction import distinct_extractors, measure_reference
    from dar_bench.evaluation.linting import Watch, expectations, remark
    from dar_bench.evaluation.measuring import assist_generation, measure_generation
    from dar_bench.evaluation.scoring import load_panel
    from dar_bench.evaluation.team import join_team
    from dar_bench.evaluators.names import named_evaluators
    from dar_bench.generation import GenerationRun
    from dar_bench.lint import SampleLint
    from dar_bench.loading import generator_card, load_generator
    from dar_bench.recording import generation_record
    from dar_bench.references.opening import open_given
    from dar_bench.roles import check_role, choose_labels, reference_name

    card = generator_card(model)
    complete = model_options(card, given, options)
    name = reference_name(card, reference)
    warning = check_role(name, "generation", card.name, forced=force_reference)
    opened = open_given(name)
    skipped = ""
    if skip_unreadable and opened.source is not None:
        readable, skipped = only_readable(opened.source)
        opened = replace(opened, source=readable)
    policy, drawn = choose_labels(labels, opened.source, card, samples, seed)
    team = join_team()
    loading = load_options(team.device(device), dtype, compiled)
    panel = load_panel(named_evaluators(evaluators), loading.device)
    generator = load_generator(card, loading, weights)
    run = GenerationRun(labels=drawn, seed=seed, options=complete, batch_size=batch_size)
    if not team.is_main:
        assist_generation(generator, run, panel, team)
        return
    if warning:
        note(warning)
    total = len(opened.source) if opened.source else 0
    with progress(f"Reading {name}", min(reference_limit or total, total)) as bar:
        references = measure_reference(
            opened,
            card.image_size,
            distinct_extractors(panel.evaluators),
            limit=reference_limit,
            on_images=bar.advance,
        )
    expected = expectations(
        panel, size=card.image_size, classes=card.num_classes, even_labels=policy == "balanced"
    )
    watch = Watch(lint=SampleLint(expected), strict=strict)
    with progress(f"Sampling {card.name}", samples) as bar:
        measurement = measure_generation(
            generator, run, references, panel, watch=watch, team=team, on_images=bar.advance
        )
    remarks = " ".join(filter(None, (warning, skipped, remark(measurement.findings))))
    records = [
        generation_record(
            generator, measurement, scored, options=complete, seed=seed, labels=policy, note=remarks
        )
        for scored in measurement.results
    ]
    finish(records, measurement, results, as_json)
