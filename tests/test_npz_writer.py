from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dar_bench.data import open_source
from dar_bench.npz_writer import write_npz


def images(count: int, seed: int = 0, size: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator)


def test_batches_become_one_array_with_labels(tmp_path: Path) -> None:
    parts = [images(2), images(3, seed=1)]
    with write_npz(tmp_path / "s.npz", 5, 4) as stream:
        stream.add(parts[0], [7, 8])
        stream.add(parts[1], [9, 0, 1])
    expected = torch.cat(parts).permute(0, 2, 3, 1).numpy()
    with np.load(tmp_path / "s.npz") as archive:
        assert archive["arr_0"].dtype == np.uint8
        assert (archive["arr_0"] == expected).all()
        assert archive["arr_1"].tolist() == [7, 8, 9, 0, 1]
    source = open_source(tmp_path / "s.npz")
    assert (np.asarray(source[3].image) == expected[3]).all()
    assert source[3].label == 0


def test_an_interrupted_archive_does_not_appear(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), write_npz(tmp_path / "s.npz", 4, 4) as stream:
        stream.add(images(2), [0, 1])
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (images(2), "3 images were promised, 2 came"),
        (images(4), "and more came"),
        (images(3, size=5), "cannot"),
    ],
)
def test_what_does_not_fit_leaves_nothing(tmp_path: Path, batch: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message), write_npz(tmp_path / "s.npz", 3, 4) as stream:
        stream.add(batch, [0] * len(batch))
    assert list(tmp_path.iterdir()) == []
