"""The autoencoder computes what diffusers' AutoencoderKL computes, from the same file."""

from __future__ import annotations

import torch
from dar_bench_kl.cards import CARDS, SD_SIZES
from dar_bench_kl.load import ScaledAutoencoder, count_card, layout
from dar_bench_kl.model import KLAutoencoder, KLConfig
from dar_bench_kl.weights import convert
from diffusers import AutoencoderKL

ROUNDING = 2e-5
"""Relative to the largest value: float32 sums of up to 2304 products, two dozen layers deep."""

SMALL = {**SD_SIZES, "width": 32}


def reference(blocks: int = 4) -> AutoencoderKL:
    torch.manual_seed(0)
    model = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * blocks,
        up_block_types=("UpDecoderBlock2D",) * blocks,
        block_out_channels=(32, 64, 128, 128),
        layers_per_block=2,
        latent_channels=4,
        norm_num_groups=32,
    )
    with torch.no_grad():
        for (
            parameter
        ) in model.parameters():  # norms start as the identity, biases as zero: nothing may hide there
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model.eval().requires_grad_(False)


def ours(state: dict[str, torch.Tensor]) -> KLAutoencoder:
    model = KLAutoencoder(KLConfig(**SMALL))
    model.load_state_dict(convert(state), strict=True)
    return model.eval().requires_grad_(False)


def test_encodes_and_decodes_as_diffusers_does() -> None:
    theirs = reference()
    model = ours(theirs.state_dict())
    images = torch.rand(2, 3, 40, 56) * 2 - 1
    mean, deviation = model.moments(images)
    expected = theirs.encode(images).latent_dist
    assert_near(mean, expected.mean)
    assert_near(deviation, expected.std)
    assert_near(model.decode(mean), theirs.decode(mean).sample)


def test_files_from_before_the_attention_was_renamed_convert_alike() -> None:
    new = reference().state_dict()
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    old = {}
    for key, value in new.items():
        for now, before in names.items():
            key = key.replace(f".{now}.", f".{before}.")
        old[key] = value
    assert old.keys() != new.keys()
    for (key, value), (old_key, old_value) in zip(
        sorted(convert(new).items()), sorted(convert(old).items()), strict=True
    ):
        assert key == old_key
        assert torch.equal(value, old_value)


def test_latents_are_scaled_and_pixels_cut_off_as_published() -> None:
    theirs = reference()
    autoencoder = ScaledAutoencoder(CARDS[0], ours(theirs.state_dict()))
    images = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    mean, deviation = autoencoder.moments(images)
    expected = theirs.encode(images / 127.5 - 1).latent_dist
    assert_near(mean, expected.mean * 0.18215)
    assert_near(deviation, expected.std * 0.18215)
    pixels = 127.5 * theirs.decode(mean / 0.18215).sample + 128.0
    decoded = autoencoder.decode(mean)
    assert decoded.dtype == torch.uint8
    # Truncation: rounding noise may carry a value over a whole number, never further.
    assert int((decoded.int() - pixels.clamp(0, 255).int()).abs().max()) <= 1
    assert float((decoded.int() != pixels.clamp(0, 255).int()).float().mean()) < 0.01


def test_published_sizes() -> None:
    with torch.device("meta"):
        theirs = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=2,
            latent_channels=4,
            norm_num_groups=32,
        )
    for card in CARDS:
        assert count_card(card) == card.parameters == sum(p.numel() for p in theirs.parameters())
        converted = {name: tuple(value.shape) for name, value in convert(theirs.state_dict()).items()}
        assert converted == layout(card)


def assert_near(actual: torch.Tensor, expected: torch.Tensor) -> None:
    assert float((actual - expected).abs().max()) <= ROUNDING * float(expected.abs().max())
