"""The tokenizer against numbers that the published code gave for small random weights.

Codes match exactly; floats to 1e-5 relative, ten times tighter than the order of rounding must allow.
"""

from __future__ import annotations

import pytest
import torch
from dar_bench_dar.decode import PixelStream
from dar_bench_dar.model.config import TokenizerConfig
from dar_bench_dar.model.tokenizer import SequentialDiffusionTokenizer, count_parameters
from dar_bench_dar.train.objective import TokenizerObjective
from dar_bench_dar.train.recipes import TokenizerLosses

from dar_bench.data.pixel_range import to_uint8

IO = dict[str, torch.Tensor]


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def test_codes(golden_tokenizer: SequentialDiffusionTokenizer, tokenizer_io: IO) -> None:
    assert torch.equal(golden_tokenizer.encode(tokenizer_io["image"]), tokenizer_io["codes"])


def test_conditions(golden_tokenizer: SequentialDiffusionTokenizer, tokenizer_io: IO) -> None:
    found = golden_tokenizer.conditions(tokenizer_io["random_codes"])
    assert relative(found, tokenizer_io["conditions"]) < 1e-5


def test_velocity(golden_tokenizer: SequentialDiffusionTokenizer, tokenizer_io: IO) -> None:
    first_group = tokenizer_io["conditions"][:, :4]
    found = golden_tokenizer.pixel_decoder(tokenizer_io["noise"], tokenizer_io["velocity.t"], first_group)
    assert relative(found, tokenizer_io["velocity.out"]) < 1e-5


@pytest.mark.parametrize("solver", ["euler", "adams2"])
@pytest.mark.parametrize("steps", [4, 8, 12, 16])
def test_decoded(
    golden_tokenizer: SequentialDiffusionTokenizer, tokenizer_io: IO, solver: str, steps: int
) -> None:
    stream = PixelStream(golden_tokenizer, tokenizer_io["noise"], solver=solver, steps=steps)
    stream.push(tokenizer_io["random_codes"])
    assert relative(stream.estimate(), tokenizer_io[f"decoded.{solver}.steps{steps}"]) < 1e-5


def test_default_decoding_is_the_published_one(
    golden_tokenizer: SequentialDiffusionTokenizer, tokenizer_io: IO
) -> None:
    stream = PixelStream(golden_tokenizer, tokenizer_io["noise"])
    stream.push(tokenizer_io["random_codes"])
    assert relative(stream.estimate(), tokenizer_io["decode_code_default"]) < 1e-5


@pytest.mark.parametrize("solver", ["euler", "adams2"])
def test_previews_of_one_streamed_pass(
    golden_tokenizer: SequentialDiffusionTokenizer, tokenizer_io: IO, solver: str
) -> None:
    stream = PixelStream(golden_tokenizer, tokenizer_io["noise"], solver=solver)
    for number, group in enumerate(tokenizer_io["random_codes"].split(4, dim=1), start=1):
        stream.push(group)
        assert relative(stream.estimate(), tokenizer_io[f"preview.{solver}.groups{number}"]) < 1e-5


def test_training_forward(golden_tokenizer: SequentialDiffusionTokenizer, tokenizer_io: IO) -> None:
    losses = TokenizerLosses(perceptual_weight=0.0, alignment_weight=0.0)
    objective = TokenizerObjective(golden_tokenizer, losses)
    terms, predicted = objective.terms(
        tokenizer_io["image"], tokenizer_io["train.t_uniform"], tokenizer_io["train.noise"]
    )
    assert relative(predicted, tokenizer_io["train.predicted_x1"]) < 1e-5
    for ours, published in (("flow", "fm_loss"), ("codebook", "vq_loss"), ("commitment", "commit_loss")):
        assert relative(terms[ours][None], tokenizer_io[f"train.{published}"]) < 1e-5


def test_uint8_truncates() -> None:
    values = torch.tensor([-1.1, -1.0, 0.0, 0.999, 1.0, 2.0])
    assert to_uint8(values).tolist() == [0, 0, 128, 255, 255, 255]
    assert to_uint8(torch.tensor([-0.9999])).tolist() == [0]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (TokenizerConfig(), 300_099_776),
        (TokenizerConfig(repa_dim=768), 307_444_672),
    ],
)
def test_published_sizes(config: TokenizerConfig, expected: int) -> None:
    assert count_parameters(config) == expected


def test_published_sizes_of_the_parts() -> None:
    with torch.device("meta"):
        model = SequentialDiffusionTokenizer(TokenizerConfig())
    sizes = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    assert sizes["pixel_decoder"] == 185_129_664
    for part in (model.encoder, model.token_decoder):
        assert sum(p.numel() for p in part.layers.parameters()) == 56_717_312


def test_ablation_size_is_the_papers() -> None:
    ablation = TokenizerConfig(width=512, decoder_width=512, decoder_depth=8, repa_dim=768)
    assert round(count_parameters(ablation) / 1e6) == 113
