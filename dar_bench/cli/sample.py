"""``dar-bench sample``: generate images of the classes that the user names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dar_bench.cli.help import examples
from dar_bench.cli.model_options import decoding_options, guidance_options, loading_options, model_options


@click.command(
    epilog=examples(
        "dar-bench sample dar-tiny --labels flags,food-drink --count 4 --cfg 2.0 --grid grid.png",
        "dar-bench sample dar-tiny --labels 2 --previews",
        "dar-bench sample dar-l --labels 207,360 --cfg 4.0",
        "dar-bench sample dar-l --labels 88 --prefix-image parrot.jpg --prefix-tokens 64",
    )
)
@click.argument("model")
@click.option("--labels", required=True, help="Classes, by number or name, separated by commas.")
@click.option(
    "--count", type=click.IntRange(min=1), default=1, show_default=True, help="Images of every label."
)
@guidance_options
@decoding_options
@loading_options
@click.option(
    "--first-index",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Number of the first sample; makes any one sample of another run again.",
)
@click.option("--prefix-image", type=click.Path(path_type=Path), help="Image whose first tokens are kept.")
@click.option(
    "--prefix-tokens", type=int, help="How many of them.  [default: a quarter of the model's tokens]"
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the images.  [default: samples/MODEL]"
)
@click.option("--overwrite", is_flag=True, help="Replace the samples of an earlier run in that folder.")
@click.option(
    "--previews",
    is_flag=True,
    help="Write estimates on the way too: after groups of tokens, or steps.",
)
@click.option("--grid", type=click.Path(path_type=Path), help="Write a contact sheet, one row per label.")
@click.option("--npz", type=click.Path(path_type=Path), help="Write all images as arr_0 of an .npz archive.")
@click.option("--json", "as_json", is_flag=True, help="Print what was made as JSON.")
def sample(
    model: str,
    labels: str,
    count: int,
    options: tuple[str, ...],
    seed: int,
    batch_size: int,
    device: str,
    dtype: str,
    compiled: bool,
    weights: Path | None,
    first_index: int,
    prefix_image: Path | None,
    prefix_tokens: int | None,
    out: Path | None,
    overwrite: bool,
    previews: bool,
    grid: Path | None,
    npz: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Generate images with MODEL, a name of the zoo or the export folder of a training run.

    Sample i depends on the seed and i alone. With --grid or --npz and no --out, only these are written.
    """
    from dar_bench import sample_files
    from dar_bench.console import console, print_json, progress
    from dar_bench.devices import load_options
    from dar_bench.errors import UserError
    from dar_bench.generation import GenerationRun, prefix_codes
    from dar_bench.labels import parse_labels
    from dar_bench.loading import generator_card, load_generator
    from dar_bench.output_folders import check_folder, clear_folder
    from dar_bench.reconstruction import open_inputs
    from dar_bench.recording import command_line, plain_options
    from dar_bench.wording import counted

    card = generator_card(model)
    chosen = parse_labels(labels, card)
    complete = model_options(card, given, options)
    if prefix_tokens is not None and prefix_image is None:
        raise UserError("--prefix-tokens needs an image.", hint="Give it with --prefix-image.")
    image = open_inputs([str(prefix_image)])[0].image if prefix_image is not None else None
    if out is None and (previews or (grid is None and npz is None)):
        out = Path("samples") / Path(model).name
    earlier = (
        check_folder(out, sample_files.MANIFEST, sample_files.MADE_BY, overwrite=overwrite) if out else []
    )
    generator = load_generator(card, load_options(device, dtype, compiled), weights)
    decoder = generator.decoder
    prefix = None
    if image is not None:
        tokenizer = generator.tokenizer
        quarter = tokenizer.card.tokens // 4 if tokenizer else 0
        prefix = prefix_codes(generator, image, quarter if prefix_tokens is None else prefix_tokens, complete)
    run = GenerationRun(
        labels=[label for label in chosen for _ in range(count)],
        seed=seed,
        options=complete,
        first=first_index,
        batch_size=batch_size,
        previews=previews,
        prefix=prefix,
    )
    facts = {
        "model": card.name,
        "weights_sha256": generator.weights_sha256,
        "tokenizer": decoder.card.name if decoder else "",
        "tokenizer_sha256": decoder.weights_sha256 if decoder else None,
        "seed": seed,
        "options": plain_options(complete),
        "prefix_codes": prefix.tolist() if prefix is not None else [],
        "device": generator.options.device,
        "precision": generator.options.dtype,
        "command": command_line(),
    }
    outputs = sample_files.Outputs(folder=out, previews=previews, grid=grid, npz=npz)
    if out is not None:
        clear_folder(out, earlier)
    with progress(f"Sampling {card.name}", len(run.labels)) as bar:
        written = sample_files.write_samples(generator, run, outputs, facts, on_images=bar.advance)
    paths = {what: str(path) for what, path in written.files.items()}
    if as_json:
        folder = {"folder": str(out)} if out is not None else {}
        print_json({**facts, **folder, **paths, "samples": written.samples})
        return
    if out is not None:
        more = f" and {written.previews} previews" if written.previews else ""
        console.print(f"Wrote {counted(len(written.samples), 'image')}{more} to {out}")
    for what, path in paths.items():
        console.print(f"Wrote the {what} {path}")
