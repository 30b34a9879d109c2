"""``dar-bench reconstruct``: images through a tokenizer and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dar_bench.cli.help import examples
from dar_bench.cli.model_options import decoding_options, loading_options, model_options


@click.command(
    epilog=examples(
        "dar-bench reconstruct dar-tiny-tokenizer emoji64:val --limit 16 --grid grid.png",
        "dar-bench reconstruct dar-tokenizer photo.jpg other.png --out reconstructions",
        "dar-bench reconstruct dar-tokenizer photos/ --solver heun --steps 12",
    )
)
@click.argument("tokenizer")
@click.argument("images", nargs=-1, required=True)
@decoding_options
@loading_options
@click.option(
    "--limit", "--samples", "limit", type=click.IntRange(min=1), help="Only the first so many images."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder of the images.  [default: reconstructions/TOKENIZER]",
)
@click.option(
    "--overwrite", is_flag=True, help="Replace the reconstructions of an earlier run in that folder."
)
@click.option(
    "--grid", type=click.Path(path_type=Path), help="Write originals and reconstructions side by side."
)
@click.option("--npz", type=click.Path(path_type=Path), help="Write all reconstructions as an .npz archive.")
@click.option("--json", "as_json", is_flag=True, help="Print the scores as JSON.")
def reconstruct(
    tokenizer: str,
    images: tuple[str, ...],
    options: tuple[str, ...],
    seed: int,
    batch_size: int,
    device: str,
    dtype: str,
    compiled: bool,
    weights: Path | None,
    limit: int | None,
    out: Path | None,
    overwrite: bool,
    grid: Path | None,
    npz: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Encode and decode IMAGES with TOKENIZER, or with a continuous autoencoder, and compare.

    IMAGES are image files, folders, .zip, .npz, .parquet or .tar files, or NAME:SPLIT of a shipped data set;
    each is brought to the tokenizer's size by its centre crop. With --grid or --npz and no --out, only these
    are written.
    """
    from dar_bench import reconstruction_files
    from dar_bench.console import console, print_json, print_table, progress
    from dar_bench.devices import load_options
    from dar_bench.loading import codec_card, load_codec
    from dar_bench.output_folders import check_folder, clear_folder
    from dar_bench.reconstruction import ReconstructionRun, open_inputs
    from dar_bench.recording import command_line, plain_options
    from dar_bench.wording import counted

    card = codec_card(tokenizer)
    complete = model_options(card, given, options)
    source = open_inputs(images)
    if out is None and grid is None and npz is None:
        out = Path("reconstructions") / Path(tokenizer).name
    earlier = (
        check_folder(out, reconstruction_files.MANIFEST, reconstruction_files.MADE_BY, overwrite=overwrite)
        if out
        else []
    )
    loaded = load_codec(card, load_options(device, dtype, compiled), weights)
    facts = {
        "tokenizer": card.name,
        "weights_sha256": loaded.weights_sha256,
        "seed": seed,
        "options": plain_options(complete),
        "device": loaded.options.device,
        "precision": loaded.options.dtype,
        "command": command_line(),
    }
    outputs = reconstruction_files.Outputs(folder=out, grid=grid, npz=npz)
    run = ReconstructionRun(source=source, seed=seed, options=complete, batch_size=batch_size, limit=limit)
    if out is not None:
        clear_folder(out, earlier)
    with progress(f"Reconstructing with {card.name}", run.count) as bar:
        written = reconstruction_files.write_reconstructions(
            loaded,
            run,
            outputs,
            facts,
            on_images=bar.advance,
        )
    paths = {what: str(path) for what, path in written.files.items()}
    if as_json:
        folder = {"folder": str(out)} if out is not None else {}
        print_json({**facts, **folder, **paths, "images": written.images})
        return
    columns = ("image", "PSNR dB", "SSIM")
    print_table(columns, reconstruction_files.table(written.images), right=columns[1:])
    if out is not None:
        console.print(f"Wrote {counted(len(written.images), 'reconstruction')} to {out}")
    for what, path in paths.items():
        console.print(f"Wrote the {what} {path}")
