"""How often the 95 % intervals of the scores hold the true value: samples are drawn again and again from known sources.

Every case fixes a source of samples and a reference, draws ``--runs`` sets of samples, and asks of each whether its
interval holds the target. The target is what the score estimates: its closed form (``exact``), or the mean of the score
over all runs (``mean``), which leaves out the known bias of a finite number of samples. Beside the coverage stands the
stated standard error over the true spread: above 1 the error is on the safe side.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from dar_bench.metrics.estimate import Estimate
from dar_bench.metrics.frechet import frechet_distance, frechet_estimate, paired_frechet_estimate
from dar_bench.metrics.frechet_infinity import frechet_infinity
from dar_bench.metrics.inception_score import divergences, inception_score
from dar_bench.metrics.kernel import kernel_distance
from dar_bench.metrics.moments import Gaussian
from dar_bench.metrics.precision_recall import manifold_scores

Array = NDArray[np.float64]
DIMENSIONS = 16
REFERENCE = 400


@dataclass(frozen=True, kw_only=True)
class Row:
    """What came of one case.

    Attributes:
        score, source, target: what was estimated, from what, and what the interval should hold.
        n: samples of a run. runs: how many.
        coverage: share of the runs whose 95 % interval holds the target.
        error_ratio: mean standard error over the standard deviation of the values.
        bias: mean of the values minus the exact target, in standard deviations of a value; 0 for ``mean``.
    """

    score: str
    source: str
    target: str
    n: int
    runs: int
    coverage: float
    error_ratio: float
    bias: float


@dataclass(frozen=True, kw_only=True)
class Case:
    """A score on samples of a known source; ``exact`` maps score names to closed forms where there are some."""

    source: str
    n: int
    estimates: Callable[[np.random.Generator, int], dict[str, Estimate]]
    exact: dict[str, float]


def rows(case: Case, runs: int, seed: int) -> Iterator[Row]:
    """Draw the runs of a case and yield a row for every score and target."""
    found: dict[str, list[Estimate]] = {}
    for run in range(runs):
        for name, estimate in case.estimates(np.random.default_rng([seed, run]), run).items():
            found.setdefault(name, []).append(estimate)
    for name, estimates in found.items():
        values = np.array([one.value for one in estimates])
        spread = float(values.std(ddof=1))
        targets = {"mean": float(values.mean())}
        if name in case.exact:
            targets["exact"] = case.exact[name]
        for target, truth in targets.items():
            yield Row(
                score=name,
                source=case.source,
                target=target,
                n=case.n,
                runs=runs,
                coverage=float(np.mean([_holds(one, truth) for one in estimates])),
                error_ratio=float(np.mean([one.stderr for one in estimates])) / spread,
                bias=(targets["mean"] - truth) / spread,
            )


def gaussians(name: str, n: int, shift: float, scale: float) -> Case:
    """FD, its extrapolation and KD of Gaussians that differ in mean and scale from a reference known exactly."""
    random = np.random.default_rng(7)
    mixing = random.normal(size=(DIMENSIONS, DIMENSIONS)) / math.sqrt(DIMENSIONS)
    covariance = mixing @ mixing.T + 0.2 * np.eye(DIMENSIONS)
    root = np.linalg.cholesky(covariance)
    mean = np.full(DIMENSIONS, shift / math.sqrt(DIMENSIONS))
    fixed = Gaussian(mean=np.zeros(DIMENSIONS), covariance=covariance, n=10**9)
    true = frechet_distance(fixed, Gaussian(mean=mean, covariance=scale**2 * covariance, n=10**9))

    def draw(random: np.random.Generator, run: int) -> dict[str, Estimate]:
        samples = mean + scale * random.normal(size=(n, DIMENSIONS)) @ root.T
        real = random.normal(size=(n, DIMENSIONS)) @ root.T
        found = {"FD": frechet_estimate(fixed, samples), "KD": kernel_distance(real, samples, seed=run)}
        if n >= 10 * (DIMENSIONS + 1):
            found["FD-infinity"] = frechet_infinity(fixed, samples, seed=run)
        return found

    kernel = _kernel_mean(root, mean, scale, mean, scale) + _kernel_mean(root, 0 * mean, 1.0, 0 * mean, 1.0)
    exact = {
        "FD": true,
        "FD-infinity": true,
        "KD": kernel - 2 * _kernel_mean(root, 0 * mean, 1.0, mean, scale),
    }
    return Case(source=name, n=n, estimates=draw, exact=exact)


def reconstructions(n: int) -> Case:
    """RFD of originals with noisy copies of themselves: both sides are drawn together."""
    mean, noise = 0.3, 0.5
    true = DIMENSIONS * (mean**2 + (math.sqrt(1 + noise**2) - 1) ** 2)

    def draw(random: np.random.Generator, run: int) -> dict[str, Estimate]:
        originals = random.normal(size=(n, DIMENSIONS))
        copies = originals + mean + noise * random.normal(size=(n, DIMENSIONS))
        return {"rFD": paired_frechet_estimate(originals, copies)}

    return Case(source="noisy copies", n=n, estimates=draw, exact={"rFD": true})


def class_probabilities(n: int) -> Case:
    """IS of rows drawn from a population of 200,000 whose own score is the target."""
    random = np.random.default_rng(8)
    sharpness = random.choice([0.05, 0.3, 1.0], size=200_000)
    logits = random.gumbel(size=(200_000, 20)) / sharpness[:, None]
    logits -= logits.max(axis=1, keepdims=True)
    population = np.exp(logits)
    population /= population.sum(axis=1, keepdims=True)
    true = math.exp(float(divergences(population).mean()))

    def draw(random: np.random.Generator, run: int) -> dict[str, Estimate]:
        score = inception_score(population[random.integers(0, len(population), n)], split_size=n // 2)
        return {"IS, two splits": score.split, "IS, one split": score.order_free}

    return Case(source="population of rows", n=n, estimates=draw, exact={"IS, one split": true})


def manifolds(name: str, n: int, scale: float) -> Case:
    """Precision, recall, density and coverage of Gaussian samples against one fixed reference set."""
    reference = np.random.default_rng(9).normal(size=(REFERENCE, DIMENSIONS)).astype(np.float32)

    def draw(random: np.random.Generator, run: int) -> dict[str, Estimate]:
        samples = (scale * random.normal(size=(n, DIMENSIONS))).astype(np.float32)
        scores = manifold_scores(reference, samples)
        return {
            "precision": scores.precision,
            "recall": scores.recall,
            "density": scores.density,
            "coverage": scores.coverage,
        }

    return Case(source=name, n=n, estimates=draw, exact={})


def cases() -> list[Case]:
    """Return all cases."""
    return [
        gaussians("Gaussian, far", 400, 1.0, 1.3),
        gaussians("Gaussian, near", 400, 0.2, 1.05),
        gaussians("Gaussian, equal", 400, 0.0, 1.0),
        gaussians("Gaussian, far", 4000, 1.0, 1.3),
        reconstructions(400),
        class_probabilities(1000),
        manifolds("Gaussian, equal", 400, 1.0),
        manifolds("Gaussian, narrow", 400, 0.8),
    ]


@click.command()
@click.option(
    "--runs", type=click.IntRange(min=10), default=1000, show_default=True, help="Sets of samples per case."
)
@click.option("--seed", default=0, show_default=True, help="Of all draws.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Also write the table as Markdown.")
def main(runs: int, seed: int, as_json: bool, output: Path | None) -> None:
    """Measure the coverage of the scores' 95 % intervals."""
    found = [row for case in cases() for row in rows(case, runs, seed)]
    text = markdown(found)
    if output is not None:
        output.write_text(text, encoding="utf-8")
    click.echo(json.dumps([asdict(row) for row in found], indent=2) if as_json else text, nl=False)


def markdown(found: list[Row]) -> str:
    """Return the table."""
    lines = [
        "| Score | Samples from | n | Target | Coverage of 95 % | Stated error / true spread | Bias in deviations |",
        "| --- | --- | ---: | --- | ---: | ---: | ---: |",
    ]
    for row in found:
        bias = "" if row.target == "mean" else f"{row.bias:+.2f}"
        lines.append(
            f"| {row.score} | {row.source} | {row.n} | {row.target} | {100 * row.coverage:.1f} % "
            f"| {row.error_ratio:.2f} | {bias} |"
        )
    return "\n".join([*lines, ""])


def _holds(estimate: Estimate, truth: float) -> bool:
    half = 1.959963984540054 * estimate.stderr
    low, high = estimate.interval or (estimate.value - half, estimate.value + half)
    return low <= truth <= high


def _kernel_mean(root: Array, mean: Array, scale: float, other_mean: Array, other_scale: float) -> float:
    """Return E k(x, y), k = (x'y / D + 1)^3, for x, y of two Gaussians of covariance scale^2 root root'.

    Given x, u = x'y / D + 1 is normal with mean m and variance v, and E u^3 = m^3 + 3 m v. The mean over x is taken
    over 200,000 draws, antithetic in the sign, whose own error is far below that of the scores.
    """
    draws = np.random.default_rng(11).normal(size=(100_000, len(root)))
    x = mean + scale * np.concatenate([draws, -draws]) @ root.T
    m = x @ other_mean / len(root) + 1.0
    v = other_scale**2 * ((x @ root) ** 2).sum(axis=1) / len(root) ** 2
    return float((m**3 + 3 * m * v).mean())


if __name__ == "__main__":
    main()
