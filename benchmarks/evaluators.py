"""Speed of the ADM protocol's parts, each against the ways it is usually computed.

    python benchmarks/evaluators.py --part frechet
    python benchmarks/evaluators.py --part extraction --images 64 --batch 16
    python benchmarks/evaluators.py --part precision --reference 10000 --samples 50000
    python benchmarks/evaluators.py --part precision --reference 10000 --samples 10000 --kind copies

Parts:

    frechet      Frechet distance of 2048 features: ours against the matrix root (SciPy's sqrtm) of ADM, at full rank
                 and with fewer samples than features
    extraction   images per second of the Inception network on one batch: ours, with torch.compile (--compile), the
                 TensorFlow graph, ONNX Runtime, OpenVINO and torch-fidelity, all with the same random weights. A peer
                 that is not installed is named and left out.
    precision    precision and recall by ADM's float16 rules: ours, ours in float32, and TensorFlow by ADM's plan,
                 each in a process of its own, with its peak memory

Repeats alternate between the variants, after a round that is not counted (not in `precision`, whose processes start
afresh); medians are reported. All inputs are seeded.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import scipy.linalg
import torch
from measuring import in_turns, machine, rates, show_machine, speedup

from dar_bench.evaluators.adm_process import GraphProcess
from dar_bench.features.random_inception import random_state, write_pb, write_pth
from dar_bench.metrics.frechet import frechet_distance
from dar_bench.metrics.moments import Gaussian, gaussian
from dar_bench.metrics.precision_recall import manifold_scores
from dar_bench.nn.inception import Inception, resize_tf1

PARTS = ("frechet", "extraction", "precision")
CPU = torch.device("cpu")


def features(count: int, dimensions: int, seed: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return features like those of images: in clusters, not negative, with a spectrum that falls off."""
    shared, random = np.random.default_rng(0), np.random.default_rng(seed)
    rank = min(256, dimensions)
    mixing = shared.normal(size=(rank, dimensions)) * np.linspace(1, 0.05, rank)[:, None] / 12
    centres = shared.normal(size=(1000, rank))
    rows = np.empty((count, dimensions), dtype=np.float32)
    for start in range(0, count, 2048):
        size = min(2048, count - start)
        latent = centres[random.integers(1000, size=size)] + 0.7 * random.normal(size=(size, rank))
        rows[start : start + size] = np.abs(latent @ mixing + 0.05 * random.normal(size=(size, dimensions)))
    return rows


def copies(count: int, dimensions: int, seed: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return features of near copies of 20 images, among which bounds of distances decide nothing."""
    shared, random = np.random.default_rng(0), np.random.default_rng(seed)
    centres = np.abs(shared.normal(size=(20, dimensions))).astype(np.float32)
    rows = centres[random.integers(20, size=count)]
    for part in np.array_split(rows, -(-count // 2048)):
        part += 1e-3 * random.normal(size=part.shape)
    return rows


def by_matrix_root(first: Gaussian, second: Gaussian) -> float:
    """Return the Frechet distance as ADM computes it, from moments."""
    difference = first.mean - second.mean
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root = scipy.linalg.sqrtm(first.covariance @ second.covariance)
    traces = np.trace(first.covariance) + np.trace(second.covariance)
    return float(difference @ difference + traces - 2 * np.trace(np.real(root)))


def frechet(dimensions: int, repeats: int) -> list[dict[str, Any]]:
    """Compare at full rank (moments in) and below it (features in, whose moments the root needs first)."""
    rows = []
    for rank, count in (("full", 2 * dimensions + 500), ("below", dimensions // 2)):
        one, other = features(count, dimensions, 1), features(count, dimensions, 2)
        moments = gaussian(one), gaussian(other)
        given = moments if rank == "full" else (one, other)
        variants = {
            "ours": lambda g=given: frechet_distance(*g),
            "sqrtm": lambda m=moments: by_matrix_root(*m),
        }
        seconds, values = in_turns(variants, repeats, CPU)
        rows.append(
            {
                "part": "frechet",
                "case": f"{rank} rank, {count} x {dimensions}",
                "seconds": seconds,
                "medians": {name: statistics.median(times) for name, times in seconds.items()},
                "speedup": speedup(rates(seconds, 1), "ours"),
                "difference": abs(values["ours"] - values["sqrtm"]),
            }
        )
    return rows


def extraction(images: int, batch: int, size: int, compiled: bool, repeats: int) -> list[dict[str, Any]]:
    """Compare images per second and the largest difference of a pooled feature."""
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (images, 3, size, size), dtype=torch.uint8, generator=generator)
    missing: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        pb, pth = Path(folder) / "inception.pb", Path(folder) / "inception.pth"
        state = random_state(0)
        write_pb(state, pb)
        write_pth(state, pth)
        network = Inception(state)
        runners: dict[str, Callable[[torch.Tensor], Any]] = {"ours": with_torch(network)}
        if compiled:
            runners["ours-compiled"] = with_torch(torch.compile(Inception(state)))
        peers: dict[str, Callable[[], Callable[[torch.Tensor], Any]]] = {
            "tensorflow": lambda: with_tensorflow(pb),
            "onnxruntime": lambda: with_onnxruntime(network, Path(folder) / "inception.onnx"),
            "openvino": lambda: with_openvino(network, Path(folder) / "inception.onnx"),
            "torch-fidelity": lambda: with_torch_fidelity(pth),
        }
        for name, open_peer in peers.items():
            try:
                runners[name] = open_peer()
            except ImportError as error:
                missing[name] = str(error)
        variants = {
            name: lambda r=runner: np.concatenate(
                [np.asarray(r(part)) for part in torch.split(pictures, batch)]
            )
            for name, runner in runners.items()
        }
        seconds, pools = in_turns(variants, repeats, CPU)
    rate = rates(seconds, images)
    return [
        {
            "part": "extraction",
            "case": f"{images} images of {size}, batches of {batch}",
            "seconds": seconds,
            "images_per_second": rate,
            "speedup": speedup(rate, "ours"),
            "largest_difference": {
                name: float(np.abs(pool - pools["ours"]).max()) for name, pool in pools.items()
            },
            "missing": missing,
        }
    ]


def with_torch(network: Any) -> Callable[[torch.Tensor], Any]:
    """Return our way: batch norms folded, channels last."""

    @torch.inference_mode()
    def run(images: torch.Tensor) -> Any:
        return network(resize_tf1(images.float()))[0].numpy()

    return run


def with_tensorflow(pb: Path) -> Callable[[torch.Tensor], Any]:
    """Return the graph in TensorFlow, in a process of its own."""
    process = GraphProcess(pb)
    return lambda images: process.run(np.ascontiguousarray(images.permute(0, 2, 3, 1).numpy()))[0]


def exported(network: Inception, path: Path) -> Path:
    """Write the network as ONNX, once."""
    if not path.exists():
        example = (torch.zeros(2, 3, 299, 299),)
        axes = {"images": {0: "n"}, "pool": {0: "n"}, "spatial": {0: "n"}}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network,
                example,
                str(path),
                dynamo=False,
                input_names=["images"],
                output_names=["pool", "spatial"],
                dynamic_axes=axes,
            )
    return path


def with_onnxruntime(network: Inception, path: Path) -> Callable[[torch.Tensor], Any]:
    """Return the same network in ONNX Runtime, behind our resizing."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(exported(network, path)), providers=["CPUExecutionProvider"])
    return lambda images: session.run(
        ["pool", "spatial"], {"images": resize_tf1(images.float()).contiguous().numpy()}
    )[0]


def with_openvino(network: Inception, path: Path) -> Callable[[torch.Tensor], Any]:
    """Return the same network in OpenVINO, float32, behind our resizing."""
    import openvino

    core = openvino.Core()
    hints = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    model = core.compile_model(str(exported(network, path)), "CPU", hints)
    return lambda images: model([resize_tf1(images.float()).contiguous().numpy()])[0]


def with_torch_fidelity(pth: Path) -> Callable[[torch.Tensor], Any]:
    """Return torch-fidelity's own extractor with the same weights."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    network = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(pth))

    @torch.inference_mode()
    def run(images: torch.Tensor) -> Any:
        return network(images)[0].numpy()

    return run


def precision(reference: int, samples: int, dimensions: int, repeats: int, kind: str) -> list[dict[str, Any]]:
    """Compare time, memory and scores, every variant in processes of its own."""
    told: dict[str, list[dict[str, float]]] = {"ours": [], "ours-float32": [], "tensorflow": []}
    missing: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        draw = features if kind == "images" else copies
        np.save(f"{folder}/reference.npy", draw(reference, dimensions, 1))
        np.save(f"{folder}/samples.npy", draw(samples, dimensions, 2))
        for _ in range(repeats):
            for name, results in told.items():
                command = [sys.executable, __file__, "--worker", name, "--folder", folder]
                ran = subprocess.run(command, capture_output=True, text=True)
                if ran.returncode:
                    missing[name] = (ran.stderr.strip().splitlines() or ["it ended without a word"])[-1]
                else:
                    results.append(json.loads(ran.stdout.splitlines()[-1]))
    seconds = {name: [one["seconds"] for one in results] for name, results in told.items() if results}
    return [
        {
            "part": "precision",
            "case": f"{reference} x {samples} x {dimensions}, like {kind}",
            "seconds": seconds,
            "medians": {name: statistics.median(times) for name, times in seconds.items()},
            "speedup": speedup(rates(seconds, 1), "ours"),
            "peak_gib": {name: max(one["peak_gib"] for one in told[name]) for name in seconds},
            "precision": {name: told[name][0]["precision"] for name in seconds},
            "recall": {name: told[name][0]["recall"] for name in seconds},
            "missing": missing,
        }
    ]


def work(name: str, folder: str) -> None:
    """Be one process of `precision`: print seconds, peak memory and scores."""
    real, fake = np.load(f"{folder}/reference.npy"), np.load(f"{folder}/samples.npy")
    if name == "tensorflow":
        import adm_distances

        started = time.perf_counter()
        values = adm_distances.precision_recall(real, fake)
    else:
        started = time.perf_counter()
        arithmetic = "adm-float16" if name == "ours" else "float32"
        scores = manifold_scores(real, fake, arithmetic=arithmetic)
        values = scores.precision.value, scores.recall.value
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "peak_gib": peak, "precision": values[0], "recall": values[1]}))


@click.command(help=__doc__)
@click.option("--part", "parts", type=click.Choice(PARTS), multiple=True, help="[default: all]")
@click.option("--dimensions", type=click.IntRange(min=8), default=2048, show_default=True)
@click.option("--images", type=click.IntRange(min=1), default=64, show_default=True)
@click.option("--batch", type=click.IntRange(min=1), default=16, show_default=True)
@click.option("--size", type=click.IntRange(min=8), default=256, show_default=True, help="Of the images.")
@click.option("--reference", type=click.IntRange(min=8), default=10_000, show_default=True)
@click.option("--samples", type=click.IntRange(min=8), default=50_000, show_default=True)
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True)
@click.option(
    "--kind",
    type=click.Choice(["images", "copies"]),
    default="images",
    show_default=True,
    help="Features of `precision`: like those of varied images, or of near copies of 20.",
)
@click.option("--compile", "compiled", is_flag=True, help="Add our network with torch.compile.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--worker", hidden=True)
@click.option("--folder", hidden=True)
def main(
    parts: tuple[str, ...],
    dimensions: int,
    images: int,
    batch: int,
    size: int,
    reference: int,
    samples: int,
    repeats: int,
    kind: str,
    compiled: bool,
    as_json: bool,
    worker: str | None,
    folder: str | None,
) -> None:
    """Run the comparisons and print them."""
    if worker is not None and folder is not None:
        work(worker, folder)
        return
    if not as_json:
        show_machine("cpu")
    rows = []
    for part in parts or PARTS:
        if part == "frechet":
            found = frechet(dimensions, repeats)
        elif part == "extraction":
            found = extraction(images, batch, size, compiled, repeats)
        else:
            found = precision(reference, samples, dimensions, repeats, kind)
        rows += found
        for row in () if as_json else found:
            show(row)
    if as_json:
        settings = {"repeats": repeats}
        json.dump({"machine": machine("cpu"), "settings": settings, "results": rows}, sys.stdout, indent=2)
        print()


def show(row: dict[str, Any]) -> None:
    """Print one comparison as plain lines."""
    print(f"{row['part']}: {row['case']}")
    for name, times in row["seconds"].items():
        rate = row.get("images_per_second", {}).get(name)
        figure = f"{rate:.2f} images/s" if rate else f"{statistics.median(times):.3f} s"
        extra = [
            f"{key.replace('_', ' ')} {row[key][name]:.4g}"
            for key in ("peak_gib", "precision", "recall", "largest_difference")
            if key in row
        ]
        ratio = row["speedup"].get(name)
        extra += [f"ours is {ratio:.2f}x as fast"] if ratio else []
        print(f"  {name:<16}{figure:>18}   {', '.join(extra)}")
    if "difference" in row:
        print(f"  the two differ by {row['difference']:.1e}")
    for name, reason in row.get("missing", {}).items():
        print(f"  {name} is left out: {reason}")


if __name__ == "__main__":
    main()
