"""Where a diffusion transformer starts, and where its patches go; its numbers are checked in the plugins."""

from __future__ import annotations

import math

import torch

from dar_bench.nn.diffusion_transformer import DiffusionTransformer, DiffusionTransformerConfig
from dar_bench.nn.sinusoids import place_sinusoids, time_sinusoid

CONFIG = DiffusionTransformerConfig(
    input_size=8, patch_size=2, channels=3, out_channels=6, width=32, depth=2, heads=2, num_classes=4
)


def network() -> DiffusionTransformer:
    torch.manual_seed(0)
    model = DiffusionTransformer(CONFIG)
    model.initialize()
    return model.requires_grad_(False)


def test_a_fresh_network_says_nothing_and_its_blocks_change_nothing() -> None:
    model = network()
    x, time, labels = torch.randn(2, 3, 8, 8), torch.tensor([3, 900]), torch.tensor([0, 4])
    assert not model(x, time, labels).any()
    tokens, condition = torch.randn(2, 16, 32), torch.randn(2, 32)
    for block in model.blocks:
        assert torch.equal(block(tokens, condition), tokens)


def test_a_patch_comes_back_where_it_was_taken() -> None:
    """With the last layer giving back its bias, every patch shows the same picture: row, column, channel fastest."""
    model = network()
    model.final_layer.linear.bias.copy_(torch.arange(24.0))
    output = model(torch.zeros(1, 3, 8, 8), torch.tensor([0]), torch.tensor([0]))
    assert output.shape == (1, 6, 8, 8)
    for row, column, channel in ((0, 0, 0), (0, 1, 2), (1, 0, 5), (1, 1, 3)):
        seen = output[0, channel, row::2, column::2]
        assert (seen == (row * 2 + column) * 6 + channel).all()


def test_the_input_patch_of_a_token_is_its_own() -> None:
    model = network()
    x = torch.zeros(1, 3, 8, 8)
    x[0, :, 2:4, 6:8] = 1.0
    changed = (model.x_embedder(x) != model.x_embedder(0 * x)).any(dim=-1)[0]
    assert changed.nonzero().flatten().tolist() == [1 * 4 + 3]


def test_sinusoids() -> None:
    time = time_sinusoid(torch.tensor([7.0]), 256)[0].double()
    frequency = 10000 ** (-5 / 128)
    assert abs(float(time[5]) - math.cos(7 * frequency)) < 1e-6
    assert abs(float(time[128 + 5]) - math.sin(7 * frequency)) < 1e-6
    places = place_sinusoids(3, 4, 16).double()
    row, column, frequency = 2, 3, 10000 ** (-1 / 4)
    token = places[row * 4 + column]
    expected = [
        math.sin(column * frequency),
        math.cos(column * frequency),
        math.sin(row * frequency),
        math.cos(row * frequency),
    ]
    assert [float(token[index]) for index in (1, 5, 9, 13)] == [
        float(torch.tensor(value).float()) for value in expected
    ]
