from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dar_bench.errors import UserError
from dar_bench.metrics.moments import gaussian
from dar_bench.references.statistics import About, holds_statistics, read_statistics, write_statistics

RANDOM = np.random.default_rng(0)
POOL, SPATIAL = RANDOM.normal(size=(50, 6)), RANDOM.normal(size=(50, 3))


def arrays() -> dict[str, np.ndarray]:
    """As ADM's reference batches hold them."""
    return {
        "arr_0": RANDOM.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8),
        "mu": POOL.mean(axis=0),
        "sigma": np.cov(POOL, rowvar=False),
        "mu_s": SPATIAL.mean(axis=0),
        "sigma_s": np.cov(SPATIAL, rowvar=False),
    }


def test_all_of_a_published_batch_is_read(tmp_path: Path) -> None:
    path = tmp_path / "batch.npz"
    np.savez(path, **arrays())
    assert holds_statistics(path)
    statistics = read_statistics(path, name="batch", count=50)
    assert list(statistics.moments) == ["pool", "spatial"]
    np.testing.assert_array_equal(statistics.moments["pool"].covariance, np.cov(POOL, rowvar=False))
    assert statistics.moments["spatial"].n == 50
    assert statistics.images is not None and len(statistics.images) == 4
    assert statistics.about == About()


def test_mean_and_covariance_alone_are_enough(tmp_path: Path) -> None:
    path = tmp_path / "mar.npz"
    np.savez(path, mu=POOL.mean(axis=0).astype(np.float32), sigma=np.cov(POOL, rowvar=False))
    statistics = read_statistics(path)
    assert list(statistics.moments) == ["pool"]
    assert statistics.images is None
    assert statistics.moments["pool"].mean.dtype == np.float64


def test_what_is_written_is_read_again_bit_for_bit(tmp_path: Path) -> None:
    about = About(extractor="toy", fingerprint="toy;1", images="noise", count=50, size=8, crop="none")
    moments = {"pool": gaussian(POOL), "spatial": gaussian(SPATIAL)}
    write_statistics(tmp_path / "own.npz", moments, about)
    statistics = read_statistics(tmp_path / "own.npz")
    assert statistics.about == about
    for part, expected in moments.items():
        np.testing.assert_array_equal(statistics.moments[part].mean, expected.mean)
        np.testing.assert_array_equal(statistics.moments[part].covariance, expected.covariance)
        assert statistics.moments[part].n == 50
    other = np.load(tmp_path / "own.npz")
    np.testing.assert_array_equal(other["mu"], moments["pool"].mean)


def test_the_fingerprint_is_that_of_the_numbers(tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", **arrays())
    np.savez_compressed(tmp_path / "same.npz", **{k: v for k, v in arrays().items() if k != "arr_0"})
    changed = arrays()
    changed["mu"] = changed["mu"] + 1e-9
    np.savez(tmp_path / "other.npz", **changed)
    one, same, other = (read_statistics(tmp_path / f"{n}.npz").fingerprint for n in ("one", "same", "other"))
    assert one == same != other


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sigma": None}, "has no array 'sigma'"),
        ({"mu": None, "sigma": None}, "holds no statistics"),
        ({"sigma": np.eye(5)}, r"mu \(6,\) and sigma \(5, 5\) of .* do not belong together"),
        ({"mu": np.arange(6)}, "mu of .* is int64"),
        ({"mu": np.full(6, np.nan)}, "mu of .* holds NaN or infinity"),
        ({"sigma": np.triu(np.ones((6, 6)))}, "sigma of .* is not symmetric"),
        ({"sigma_s": None}, "has no array 'sigma_s'"),
        ({"about": np.array("no json")}, "says of itself cannot be read"),
    ],
)
def test_wrong_arrays_are_named(tmp_path: Path, change: dict[str, np.ndarray | None], message: str) -> None:
    values = {key: value for key, value in (arrays() | change).items() if value is not None}
    np.savez(tmp_path / "wrong.npz", **values)
    with pytest.raises(UserError, match=message):
        read_statistics(tmp_path / "wrong.npz")


def test_a_cut_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "cut.npz"
    np.savez(path, **arrays())
    path.write_bytes(path.read_bytes()[:-200])
    assert not holds_statistics(path)
    with pytest.raises(UserError, match="Cannot read the statistics"):
        read_statistics(path)


def test_a_damaged_compressed_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "damaged.npz"
    np.savez_compressed(path, mu=POOL.mean(axis=0), sigma=np.cov(POOL, rowvar=False))
    whole = path.read_bytes()
    # The stream of the first member begins behind its name; no block of the type 3 exists (RFC 1951, 3.2.3).
    stream = whole.index(b"mu.npy") + len("mu.npy") + 20
    path.write_bytes(whole[:stream] + b"\x07" + whole[stream + 1 :])
    with pytest.raises(UserError, match=r"Cannot read the statistics in .*damaged\.npz"):
        read_statistics(path)
