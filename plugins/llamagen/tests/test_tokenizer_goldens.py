"""The tokenizer against numbers that the published code gave for small random weights.

Floats agree to 1e-5 of the largest value, some thirty float32 roundings through the depth of the network.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from dar_bench_llamagen.cards import GENERATORS, LLAMAGEN_TOKENIZER, LLAMAGEN_TOKENIZER_384
from dar_bench_llamagen.load import load_generator, load_tokenizer
from dar_bench_llamagen.model.ar import build_ar
from dar_bench_llamagen.model.tokenizer import TokenizerConfig, VQTokenizer
from dar_bench_llamagen.sample import LlamaGenTokenizer, resized
from dar_bench_llamagen.train.objective import VQObjective
from dar_bench_llamagen.train.recipes import TokenizerLosses
from safetensors.torch import save_file
from torch.nn import functional as F

from dar_bench.api import LoadOptions, SampleKeys, TokenizerCard
from dar_bench.data.pixel_range import to_uint8
from dar_bench.errors import UserError
from dar_bench.nn.conv_blocks import to_grid
from dar_bench.nn.llama import LlamaConfig
from dar_bench.options import parse_options

KEYS = SampleKeys(seed=0, indices=(0, 1))


def close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    scale = float(theirs.abs().max())
    torch.testing.assert_close(ours, theirs, rtol=0.0, atol=1e-5 * scale)


@pytest.fixture(scope="module")
def card() -> TokenizerCard:
    return dataclasses.replace(LLAMAGEN_TOKENIZER, image_size=16, tokens=16, codebook_size=64)


@pytest.fixture(scope="module")
def wrapped(card: TokenizerCard, golden_tokenizer: VQTokenizer) -> LlamaGenTokenizer:
    return LlamaGenTokenizer(card, golden_tokenizer)


def test_encoder(golden_tokenizer: VQTokenizer, tokenizer_io: dict[str, torch.Tensor]) -> None:
    image = tokenizer_io["image"]
    close(golden_tokenizer.encoder(image), tokenizer_io["encoder_out"])
    close(to_grid(golden_tokenizer.latents(image)), tokenizer_io["pre_quant"])


def test_codes_exactly(golden_tokenizer: VQTokenizer, tokenizer_io: dict[str, torch.Tensor]) -> None:
    codes = golden_tokenizer.encode(tokenizer_io["image"])
    assert torch.equal(codes.flatten(), tokenizer_io["codes"])
    assert len(codes.unique()) > 1


def test_decoder(golden_tokenizer: VQTokenizer, tokenizer_io: dict[str, torch.Tensor]) -> None:
    image = tokenizer_io["image"]
    reconstructed, quantized = golden_tokenizer(image)
    close(to_grid(quantized.vectors), tokenizer_io["quant"])
    close(reconstructed, tokenizer_io["recon_from_quant"])
    close(golden_tokenizer.decode(golden_tokenizer.encode(image)), tokenizer_io["recon_from_codes"])
    close(golden_tokenizer.decode(tokenizer_io["random_codes"]), tokenizer_io["decoded_random_codes"])


def test_resizing_and_rounding_exactly(tokenizer_io: dict[str, torch.Tensor]) -> None:
    painted = tokenizer_io["decoded_random_codes"]
    assert torch.equal(to_uint8(resized(painted, 16)).permute(0, 2, 3, 1), tokenizer_io["uint8_nhwc"])
    smaller = resized(painted, 11)
    close(smaller, tokenizer_io["resized_float"])
    assert torch.equal(to_uint8(smaller).permute(0, 2, 3, 1), tokenizer_io["resized_uint8_nhwc"])


@pytest.mark.parametrize(("size", "golden"), [(16, "uint8_nhwc"), (11, "resized_uint8_nhwc")])
def test_pixels_of_codes(
    card: TokenizerCard,
    golden_tokenizer: VQTokenizer,
    tokenizer_io: dict[str, torch.Tensor],
    size: int,
    golden: str,
) -> None:
    """Floats that differ by 1e-5 are truncated to another grey level about once in 400 pixels."""
    tokenizer = LlamaGenTokenizer(card, golden_tokenizer, size)
    ours = tokenizer.decode(tokenizer_io["random_codes"], KEYS, {}).permute(0, 2, 3, 1).int()
    difference = (ours - tokenizer_io[golden].int()).abs()
    assert int(difference.max()) <= 1
    assert float((difference > 0).float().mean()) < 1 / 100


def test_a_stream_gives_the_same_images(
    wrapped: LlamaGenTokenizer, tokenizer_io: dict[str, torch.Tensor]
) -> None:
    codes = tokenizer_io["random_codes"]
    stream = wrapped.start(KEYS, {})
    with pytest.raises(UserError, match="No codes were given"):
        stream.images()
    stream.push(codes[:, :4])
    with pytest.raises(UserError, match="decodes 16 codes at once, not 4"):
        stream.preview()
    stream.push(codes[:, 4:])
    assert torch.equal(stream.images(), wrapped.decode(codes, KEYS, {}))


def test_foreign_codes_and_images(wrapped: LlamaGenTokenizer) -> None:
    with pytest.raises(UserError, match="Codes run from 64 to 64, the codebook has 64 entries"):
        wrapped.decode(torch.full((1, 16), 64), KEYS, {})
    with pytest.raises(UserError, match="encodes uint8 images of 3 x 16 x 16, not float32 3 x 16 x 16"):
        wrapped.encode(torch.zeros(1, 3, 16, 16))


def test_loss_terms_by_their_definitions(
    golden_tokenizer: VQTokenizer, tokenizer_io: dict[str, torch.Tensor]
) -> None:
    """The golden reconstruction and codes give every term of the loss independently of our forward pass."""
    image = torch.randint(0, 256, (2, 3, 16, 16), generator=torch.Generator().manual_seed(0))
    losses = TokenizerLosses(perceptual_weight=0.0, adversarial=0.0, reconstruction=2.0, entropy=0.5)
    objective = VQObjective(golden_tokenizer, losses)
    loss, scalars, made = objective({"image": image.to(torch.uint8)})
    real = image.float() / 127.5 - 1.0
    unit = torch.nn.functional.normalize(golden_tokenizer.latents(real), dim=-1)
    book = torch.nn.functional.normalize(golden_tokenizer.quantize.embedding.weight, dim=-1)
    distance = (unit[:, :, None] - book).square().sum(-1)
    squared = distance.min(-1).values.mean() / 8  # the mean over the code's 8 numbers
    soft = (-distance.flatten(0, 1) / 0.01).softmax(-1)
    mean = soft.mean(0)
    entropy = (
        -(soft * soft.clamp(min=1e-30).log()).sum(-1).mean() + (mean * mean.clamp(min=1e-30).log()).sum()
    )
    expected = {
        "reconstruction": 2 * (made["reconstructed"] - real).square().mean(),
        "codebook": squared,
        "commitment": 0.25 * squared,
        "entropy": 0.5 * entropy,
    }
    for name, value in expected.items():
        assert float(scalars[name]) == pytest.approx(float(value), rel=1e-4), name
    assert float(loss) == pytest.approx(float(sum(expected.values())), rel=1e-4)
    assert float(scalars["codes_used"]) == distance.argmin(-1).unique().numel() / 64


def test_generators_of_384_px_give_images_of_256(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The card's size decides; a network of the right layout and small sizes stands in for the published one."""
    small = {"layers": 1, "heads": 1, "dim": 8, "codebook_size": 16, "num_tokens": 576, "num_classes": 3}
    card = dataclasses.replace(
        next(card for card in GENERATORS if card.name == "llamagen-l-384"), config=small, num_classes=3
    )
    tiny = {"image_size": 384, "codebook_size": 16, "width": 32, "multipliers": (1, 1, 1, 1, 1), "blocks": 1}
    tokenizer_card = dataclasses.replace(
        LLAMAGEN_TOKENIZER_384, config={**tiny, "latent": 8}, codebook_size=16
    )
    torch.manual_seed(0)
    save_file(build_ar(LlamaConfig(**small)).state_dict(), tmp_path / "ar.safetensors")
    model = VQTokenizer(TokenizerConfig(**tokenizer_card.config))
    save_file(model.state_dict(), tmp_path / "vq.safetensors")
    loaded = load_tokenizer(tokenizer_card, tmp_path / "vq.safetensors", LoadOptions())
    monkeypatch.setattr("dar_bench_llamagen.load.load_model", lambda name, options: loaded)
    generator = load_generator(card, tmp_path / "ar.safetensors", LoadOptions())
    options = parse_options(card, {"cfg": "none"})
    (batch,) = generator.generate(torch.tensor([0]), SampleKeys(seed=0, indices=(0,)), options)
    assert batch.codes is not None
    assert batch.codes.shape == (1, 576)
    assert batch.images.shape == (1, 3, 256, 256)
    painted = F.interpolate(loaded.model.decode(batch.codes), size=(256, 256), mode="bicubic")
    assert torch.equal(batch.images, to_uint8(painted))
