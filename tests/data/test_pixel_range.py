from __future__ import annotations

import torch

from dar_bench.data.pixel_range import from_uint8, to_uint8


def test_every_level_survives_the_way_there_and_back() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    floats = from_uint8(levels)
    assert (float(floats[0]), float(floats[-1])) == (-1.0, 1.0)
    assert torch.equal(to_uint8(floats), levels)


def test_values_are_clamped_and_truncated() -> None:
    # 127.5 x + 128 of these: -63.75, 0.5, 127.99, 128, 255.5, 319.25.
    values = torch.tensor([-1.5, -1.0, -1e-4, 0.0, 1.0, 1.5])
    assert to_uint8(values).tolist() == [0, 0, 127, 128, 255, 255]
