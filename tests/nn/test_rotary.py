"""Rotary tables and their application."""

from __future__ import annotations

import math

import torch

from dar_bench.nn.rotary import apply_rotary, grid_rotary_table, rotary_table


def test_table_values() -> None:
    table = rotary_table(300, 8, base=100.0)
    assert (table.shape, table.dtype) == ((300, 4, 2), torch.float32)
    positions = torch.arange(300, dtype=torch.float64)
    frequencies = 100.0 ** (-torch.arange(4, dtype=torch.float64) / 4)
    angles = torch.outer(positions, frequencies)
    exact = torch.stack((angles.cos(), angles.sin()), dim=-1).float()
    torch.testing.assert_close(table, exact, rtol=0, atol=3e-5)
    assert torch.equal(table[0], torch.tensor([[1.0, 0.0]]).expand(4, 2))


def test_table_is_real_on_the_meta_device() -> None:
    with torch.device("meta"):
        table = rotary_table(4, 8)
    assert table.device.type == "cpu"


def test_adjacent_pairs_turn_by_their_angle() -> None:
    x = torch.randn(2, 5, 3, 8, generator=torch.Generator().manual_seed(0))
    expected = torch.empty_like(x)
    for position in range(5):
        for pair in range(4):
            angle = position * 10000.0 ** (-2 * pair / 8)
            turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
            here = x[:, position, :, 2 * pair : 2 * pair + 2]
            expected[:, position, :, 2 * pair : 2 * pair + 2] = here @ turn.T
    torch.testing.assert_close(apply_rotary(x, rotary_table(5, 8)), expected, rtol=1e-6, atol=1e-6)


def test_compiled_code_turns_alike() -> None:
    x = torch.randn(2, 5, 6, 8, generator=torch.Generator().manual_seed(0))[:, :, :4]
    table = rotary_table(5, 8)
    compiled = torch.compile(apply_rotary, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x, table), apply_rotary(x, table), rtol=1e-6, atol=1e-6)


def test_products_depend_on_the_distance_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(8, generator=generator), torch.randn(8, generator=generator)
    table = rotary_table(50, 8)
    q_turned = apply_rotary(q.expand(1, 50, 1, 8), table)[0, :, 0]
    k_turned = apply_rotary(k.expand(1, 50, 1, 8), table)[0, :, 0]
    products = (q_turned[7:] * k_turned[:-7]).sum(-1)
    torch.testing.assert_close(products, products[:1].expand_as(products), rtol=1e-4, atol=1e-5)


def test_a_zero_row_makes_a_zero_vector_and_the_type_is_kept() -> None:
    table = torch.zeros(1, 4, 2)
    out = apply_rotary(torch.ones(1, 1, 2, 8, dtype=torch.bfloat16), table)
    assert out.dtype == torch.bfloat16
    assert not out.any()


def test_grid_table_turns_by_row_then_by_column() -> None:
    table = grid_rotary_table(3, 8)
    assert table.shape == (10, 4, 2)
    assert not table[0].any()  # the class: zero vectors
    frequencies = [1.0, 10000.0 ** (-2 / 4)]
    for row in range(3):
        for column in range(3):
            angles = [row * f for f in frequencies] + [column * f for f in frequencies]
            expected = [[math.cos(angle), math.sin(angle)] for angle in angles]
            torch.testing.assert_close(table[1 + 3 * row + column], torch.tensor(expected))
