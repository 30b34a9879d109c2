"""Seconds of the Frechet distance beside other ways to the same number, and the error of each.

    python benchmarks/frechet.py
    python benchmarks/frechet.py --dimensions 256 --repeats 2 --json

Three cases: both covariances of full rank, given as moments; 1,000 vectors on either side, fewer than dimensions;
and 1,000 vectors against moments of full rank. Variants:

    ours      dar_bench.metrics.frechet.frechet_distance
    sqrtm     scipy.linalg.sqrtm of the product of the covariances, as ADM, clean-fid and pytorch-fid do
    eigvals   eigenvalues of the product, as torch-fidelity and torchmetrics do

A fourth case times the standard error of the distance at many vectors: the distance with its error beside the
distance alone, moments included. Repeats alternate after one that is not counted; medians are reported. The error of
a variant is its distance from a value that is known: both sets have covariances with common eigenvectors.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import scipy.linalg
import torch
from measuring import in_turns, machine, show_machine

from dar_bench.metrics.frechet import Vectors, frechet_distance, frechet_estimate
from dar_bench.metrics.moments import Gaussian, gaussian

Array = npt.NDArray[np.float64]


def spectrum(rank: int, seed: int) -> Array:
    """Variances that fall as those of features do."""
    random = np.random.default_rng(seed)
    return np.arange(1, rank + 1) ** -1.2 * random.uniform(0.5, 1.5, rank)


def orthonormal(rows: int, dimensions: int, seed: int) -> Array:
    """Random orthonormal rows."""
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(dimensions, rows)))
    return np.asarray(q.T)


def vectors(count: int, directions: Array, variances: Array, seed: int) -> Array:
    """Vectors whose sample covariance is exactly the one of these directions and variances."""
    noise = np.random.default_rng(seed).normal(size=(count, len(variances)))
    white, _ = np.linalg.qr(noise - noise.mean(axis=0))
    return np.asarray(white * np.sqrt((count - 1) * variances) @ directions)


def expected(first: Array, second: Array) -> float:
    """The distance of covariances with common eigenvectors and equal means."""
    rank = max(len(first), len(second))
    one, other = (np.pad(values, (0, rank - len(values))) for values in (first, second))
    return float(((np.sqrt(one) - np.sqrt(other)) ** 2).sum())


def moments(given: Vectors) -> Gaussian:
    """Return the moments, computed where they are not given."""
    return given if isinstance(given, Gaussian) else gaussian(given)


def by_sqrtm(first: Vectors, second: Vectors) -> float:
    """By a matrix square root of the product."""
    one, other = moments(first), moments(second)
    root = np.real(scipy.linalg.sqrtm(one.covariance @ other.covariance))
    shift = one.mean - other.mean
    return float(shift @ shift + np.trace(one.covariance + other.covariance - 2 * root))


def by_eigvals(first: Vectors, second: Vectors) -> float:
    """By the eigenvalues of the product, which is not symmetric."""
    one, other = moments(first), moments(second)
    product = torch.from_numpy(one.covariance @ other.covariance)
    roots = torch.linalg.eigvals(product).sqrt().real.sum()
    shift = one.mean - other.mean
    return float(shift @ shift + np.trace(one.covariance + other.covariance) - 2 * roots)


WAYS: dict[str, Callable[[Vectors, Vectors], float]] = {
    "ours": frechet_distance,
    "sqrtm": by_sqrtm,
    "eigvals": by_eigvals,
}


def cases(dimensions: int, few: int) -> dict[str, tuple[Vectors, Vectors, float]]:
    """Return two sides and the exact distance of every case."""
    basis = orthonormal(dimensions, dimensions, 0)
    full = [spectrum(dimensions, seed) for seed in (1, 2)]
    low = [spectrum(few - 1, seed) for seed in (3, 4)]
    wide = [
        Gaussian(mean=np.zeros(dimensions), covariance=(basis.T * values) @ basis, n=10 * dimensions)
        for values in full
    ]
    thin = [vectors(few, basis[: few - 1], values, seed) for seed, values in enumerate(low)]
    return {
        "full rank": (wide[0], wide[1], expected(full[0], full[1])),
        "few vectors": (thin[0], thin[1], expected(low[0], low[1])),
        "few against full rank": (wide[0], thin[0], expected(full[0], low[0])),
    }


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--dimensions", type=click.IntRange(min=8), default=2048, show_default=True)
@click.option(
    "--few", type=click.IntRange(min=4), default=1000, show_default=True, help="Fewer than dimensions."
)
@click.option("--many", type=click.IntRange(min=8), default=50_000, show_default=True, help="For the error.")
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(dimensions: int, few: int, many: int, repeats: int, as_json: bool) -> None:
    """Time all cases and print medians, ratios and errors."""
    few = min(few, dimensions // 2)
    device = torch.device("cpu")
    rows: list[dict[str, Any]] = []
    for case, (one, other, exact) in cases(dimensions, few).items():

        def call(way: Callable[[Vectors, Vectors], float], one: Vectors = one, other: Vectors = other) -> Any:
            return lambda: way(one, other)

        seconds, found = in_turns({name: call(way) for name, way in WAYS.items()}, repeats, device)
        medians = {name: statistics.median(values) for name, values in seconds.items()}
        rows.append(
            {
                "case": case,
                "seconds": medians,
                "ours_times_faster": {name: value / medians["ours"] for name, value in medians.items()},
                "error": {name: abs(value - exact) for name, value in found.items()},
            }
        )
    random = np.random.default_rng(5)
    scale = np.sqrt(spectrum(dimensions, 6)).astype(np.float32)
    samples = random.standard_normal((many, dimensions), dtype=np.float32) * scale
    reference = cases(dimensions, few)["full rank"][0]
    seconds, values = in_turns(
        {
            "distance": lambda: frechet_distance(reference, samples),
            "distance with error": lambda: frechet_estimate(reference, samples).value,
        },
        repeats,
        device,
    )
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    rows.append(
        {
            "case": f"{many} vectors with error",
            "seconds": medians,
            "times": medians["distance with error"] / medians["distance"],
            "difference": abs(values["distance"] - values["distance with error"]),
        }
    )
    if as_json:
        click.echo(json.dumps({"machine": machine("cpu"), "results": rows}, indent=2))
        return
    show_machine("cpu")
    for row in rows:
        print(f"\n{row['case']}, {dimensions} dimensions")
        for name, value in row["seconds"].items():
            ratio = row.get("ours_times_faster", {}).get(name)
            error = row.get("error", {}).get(name)
            beside = f"  {ratio:6.1f} x ours, error {error:.1e}" if ratio is not None else ""
            print(f"  {name:20} {value:8.3f} s{beside}")


if __name__ == "__main__":
    main()
