"""``dar-bench eval``: measure a tokenizer's reconstructions or a generator's images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dar_bench.cli.help import examples
from dar_bench.cli.model_options import decoding_options, guidance_options, loading_options, model_options

if TYPE_CHECKING:
    from dar_bench.results.record import Record

_evaluator = click.option(
    "--evaluator", default="embedded", show_default=True, help="Whose protocol measures; see 'results show'."
)
_results = click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("results"),
    show_default=True,
    help="Folder that the record is written to.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")


@click.group(
    name="eval",
    epilog=examples(
        "dar-bench eval rfid --tokenizer dar-tiny-tokenizer", "dar-bench eval gfid --model dar-tiny --cfg 2.0"
    ),
)
def eval_group() -> None:
    """Measure reconstruction or generation.

    Every score is named after the extractor that it rests on: distances on the features of efficientnet-lite0
    are FD[efficientnet-lite0], another quantity than FID, and do not compare with it.
    """


@eval_group.command(
    "rfid",
    epilog=examples(
        "dar-bench eval rfid --tokenizer dar-tiny-tokenizer",
        "dar-bench eval rfid --tokenizer dar-tokenizer --data '/data/imagenet/val-*.parquet' --solver euler",
    ),
)
@click.option("--tokenizer", required=True, help="Name in the zoo, or export folder of a training run.")
@click.option(
    "--data", help="Images that the tokenizer was not trained on.  [default: the shipped held-out split]"
)
@click.option("--limit", type=click.IntRange(min=1), help="Take so many images, spread evenly.")
@decoding_options
@loading_options
@_evaluator
@_results
@_json
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
    evaluator: str,
    results: Path,
    as_json: bool,
    **given: Any,
) -> None:
    """Measure how well a tokenizer reconstructs images: rFD, PSNR, SSIM and, where it can be had, LPIPS."""
    from dar_bench.console import note, progress
    from dar_bench.data import open_source
    from dar_bench.devices import load_options
    from dar_bench.evaluation import measure_reconstruction, open_extractor
    from dar_bench.loading import load_tokenizer, tokenizer_card
    from dar_bench.reconstruction import spread
    from dar_bench.recording import reconstruction_record
    from dar_bench.roles import held_out_data, role_warning

    card = tokenizer_card(tokenizer)
    complete = model_options(card, given, options)
    data = data or held_out_data()
    source = spread(open_source(data), limit)
    loading = load_options(device, dtype, compiled)
    extractor = open_extractor(evaluator, loading.device)
    loaded = load_tokenizer(card, loading, weights)
    warning = role_warning(data, "reconstruction", card.name)
    if warning:
        note(warning)
    with progress(f"Reconstructing {data}", len(source)) as bar:
        measurement = measure_reconstruction(
            loaded,
            source,
            extractor,
            seed=seed,
            options=complete,
            batch_size=batch_size,
            on_images=bar.advance,
        )
    record = reconstruction_record(
        loaded,
        measurement,
        extractor,
        data=data,
        data_fingerprint=source.fingerprint(),
        options=complete,
        seed=seed,
        note=warning,
    )
    _finish(record, results, as_json)


@eval_group.command(
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
@_evaluator
@_results
@_json
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
    evaluator: str,
    results: Path,
    as_json: bool,
    **given: Any,
) -> None:
    """Measure how near a generator's images are to a reference set.

    The scores: Frechet distance, kernel distance, inception score, precision, recall, density and coverage.
    """
    from dar_bench.console import note, progress
    from dar_bench.data import open_source
    from dar_bench.devices import load_options
    from dar_bench.evaluation import measure_generation, measure_reference, open_extractor
    from dar_bench.generation import GenerationRun
    from dar_bench.loading import generator_card, load_generator
    from dar_bench.recording import generation_record
    from dar_bench.roles import choose_labels, reference_name, role_warning

    card = generator_card(model)
    complete = model_options(card, given, options)
    name = reference_name(card, reference)
    source = open_source(name)
    policy, drawn = choose_labels(labels, source, card, samples, seed)
    loading = load_options(device, dtype, compiled)
    extractor = open_extractor(evaluator, loading.device)
    generator = load_generator(card, loading, weights)
    warning = role_warning(name, "generation", card.name)
    if warning:
        note(warning)
    total = len(source) if reference_limit is None else min(reference_limit, len(source))
    with progress(f"Reading {name}", total) as bar:
        features = measure_reference(
            source, card.image_size, extractor, limit=reference_limit, on_images=bar.advance
        )
    run = GenerationRun(labels=drawn, seed=seed, options=complete, batch_size=batch_size)
    with progress(f"Sampling {card.name}", samples) as bar:
        measurement = measure_generation(generator, run, features, extractor, on_images=bar.advance)
    record = generation_record(
        generator,
        measurement,
        features,
        extractor,
        options=complete,
        seed=seed,
        labels=policy,
        note=warning,
    )
    _finish(record, results, as_json)


def _finish(record: Record, results: Path, as_json: bool) -> None:
    """Write the record, then print it."""
    from dar_bench.console import console, note, print_table
    from dar_bench.results.store import RecordStore, canonical_text
    from dar_bench.score_tables import SCORE_COLUMNS, SCORE_NUMBERS, score_rows, title

    path = RecordStore(results).write(record)
    if as_json:
        click.echo(canonical_text(record), nl=False)
        note(f"Wrote the record {path}")
        return
    print_table(
        SCORE_COLUMNS,
        score_rows(record),
        title=title(record),
        right=SCORE_NUMBERS,
        optional=("protocol",),
    )
    for name, reason in record.unavailable.items():
        console.print(f"{name}: not measured. {reason}")
    console.print(f"Wrote the record {path}")
