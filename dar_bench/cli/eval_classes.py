"""``dar-bench eval classes``: which classes a generator does badly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dar_bench.cli.help import examples

if TYPE_CHECKING:
    from dar_bench.metrics.per_class import PerClassDistances


@click.command(
    epilog=examples(
        "dar-bench eval classes emoji64:train samples.npz",
        "dar-bench eval classes imagenet/train samples.npz --crop 256 --extractor dinov2-vitl14 --json",
    )
)
@click.argument("reference")
@click.argument("samples")
@click.option("--extractor", default="efficientnet-lite0", show_default=True, help="In whose features.")
@click.option(
    "--minimum",
    type=click.IntRange(min=2),
    default=50,
    show_default=True,
    help="Leave out classes with fewer images on either side.",
)
@click.option(
    "--crop", type=click.IntRange(min=1), metavar="SIZE", help="Centre-crop both sides to SIZE pixels."
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def classes(
    reference: str,
    samples: str,
    extractor: str,
    minimum: int,
    crop: int | None,
    device: str,
    as_json: bool,
) -> None:
    """Measure the Frechet distance of every class of SAMPLES to the same class of REFERENCE, the worst first.

    Both must have labels: class folders, Parquet labels, or arr_1 of an npz. Distances of few images carry a
    large bias that is equal for classes of equal counts: they rank classes, they are no scores.
    """
    from dar_bench.console import progress
    from dar_bench.data import open_source
    from dar_bench.devices import choose_device
    from dar_bench.evaluation.classes import measure_classes
    from dar_bench.features.names import load_extractor

    fixed, drawn = open_source(reference), open_source(samples)
    network = load_extractor(extractor, choose_device(device))
    with progress("Reading images", len(fixed) + len(drawn)) as bar:
        found = measure_classes(fixed, drawn, network, crop=crop, minimum=minimum, on_images=bar.advance)
    _show(found, fixed.class_names or drawn.class_names, network.name, as_json)


def _show(found: PerClassDistances, names: tuple[str, ...], extractor: str, as_json: bool) -> None:
    from dar_bench.console import console, print_json, print_table
    from dar_bench.metrics.per_class import describe_left_out

    def name(label: int) -> str:
        return names[label] if label < len(names) else str(label)

    worst_first = sorted(found.distances.items(), key=lambda one: -one[1].value)
    if as_json:
        print_json(
            {
                "score": f"FD[{extractor}]",
                "classes": [
                    {
                        "label": label,
                        "name": name(label),
                        "value": one.value,
                        "stderr": one.stderr,
                        "n": one.n,
                    }
                    for label, one in worst_first
                ],
                "mean": {"value": found.mean.value, "stderr": found.mean.stderr},
                "left_out": [
                    {"label": label, "name": name(label), "reference": one, "samples": other}
                    for label, (one, other) in found.left_out.items()
                ],
            }
        )
        return
    columns = ("class", "label", f"FD[{extractor}]", "error", "samples")
    rows = [
        (name(label), label, f"{one.value:.4f}", f"{one.stderr:.2g}", one.n) for label, one in worst_first
    ]
    print_table(columns, rows, right=columns[1:])
    console.print(f"Mean of {len(rows)} classes: {found.mean.value:.4f}, error {found.mean.stderr:.2g}")
    if found.left_out:
        console.print(f"Left out, reference and samples: {describe_left_out(found.left_out)}")
