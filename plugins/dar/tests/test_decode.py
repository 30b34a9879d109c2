"""Streaming, batching, precision and bad input of pixel decoding."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from dar_bench_dar.cards import DAR_ABLATION_TOKENIZER, DAR_TINY_TOKENIZER, decode_options
from dar_bench_dar.decode import PixelStream
from dar_bench_dar.model.tokenizer import SequentialDiffusionTokenizer
from dar_bench_dar.sample import DarTokenizer

from dar_bench.api import ReportedScore, SampleKeys
from dar_bench.errors import UserError
from dar_bench.nn.quantizer import VectorQuantizer
from dar_bench.options import parse_options

SOLVERS = ("euler", "adams2", "ab2", "heun", "midpoint")


@pytest.fixture
def tokenizer(small_tokenizer: SequentialDiffusionTokenizer) -> DarTokenizer:
    config = small_tokenizer.config
    card = dataclasses.replace(
        DAR_TINY_TOKENIZER,
        image_size=config.image_size,
        tokens=config.tokens,
        groups=config.groups,
        codebook_size=config.codebook_size,
        options=decode_options(config.tokens, config.groups),
        config=dataclasses.asdict(config),
    )
    return DarTokenizer(card, small_tokenizer)


def codes_of(tokenizer: DarTokenizer, count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(tokenizer.card.codebook_size, (count, tokenizer.card.tokens), generator=generator)


def keys(*indices: int) -> SampleKeys:
    return SampleKeys(seed=3, indices=indices)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_sample_does_not_depend_on_its_batch(tokenizer: DarTokenizer, solver: str) -> None:
    codes = codes_of(tokenizer, 6)
    together = tokenizer.decode(codes, keys(0, 1, 2, 3, 4, 5), {"solver": solver})
    alone = torch.cat([tokenizer.decode(codes[i : i + 1], keys(i), {"solver": solver}) for i in range(6)])
    # Matrix products round by batch size; truncation may turn that into one grey level.
    assert (together.int() - alone.int()).abs().max() <= 1
    assert (together != alone).float().mean() < 1e-3
    backwards = tokenizer.decode(codes.flip(0), keys(5, 4, 3, 2, 1, 0), {"solver": solver}).flip(0)
    assert torch.equal(together, backwards)


def test_noise_belongs_to_the_sample(tokenizer: DarTokenizer) -> None:
    codes = codes_of(tokenizer, 1).expand(2, -1)
    images = tokenizer.decode(codes, keys(0, 1), {})
    assert not torch.equal(images[0], images[1])
    assert torch.equal(tokenizer.decode(codes, keys(7, 7), {})[0], tokenizer.decode(codes, keys(7, 7), {})[1])


def test_streamed_and_whole_decoding_are_equal_to_the_bit(tokenizer: DarTokenizer) -> None:
    codes = codes_of(tokenizer, 3)
    stream = tokenizer.start(keys(0, 1, 2), {})
    for group in codes.split(4, dim=1):
        stream.push(group)
    assert torch.equal(stream.images(), tokenizer.decode(codes, keys(0, 1, 2), {}))


def test_token_by_token_pushes_change_only_rounding(small_tokenizer: SequentialDiffusionTokenizer) -> None:
    config = small_tokenizer.config
    codes = torch.randint(
        config.codebook_size, (2, config.tokens), generator=torch.Generator().manual_seed(0)
    )
    noise = torch.randn(
        2, 3, config.image_size, config.image_size, generator=torch.Generator().manual_seed(0)
    )
    whole, single = PixelStream(small_tokenizer, noise), PixelStream(small_tokenizer, noise)
    whole.push(codes)
    for i in range(config.tokens):
        single.push(codes[:, i : i + 1])
    torch.testing.assert_close(whole.estimate(), single.estimate(), rtol=1e-4, atol=1e-5)


def test_every_group_runs_one_step_as_soon_as_it_is_there(tokenizer: DarTokenizer) -> None:
    stream = tokenizer.start(keys(0), {})
    for done, group in enumerate(codes_of(tokenizer, 1).split(4, dim=1), start=1):
        stream.push(group[:, :3])
        assert stream.steps_done == done - 1
        stream.push(group[:, 3:])
        assert stream.steps_done == done


def test_partial_tokens_equal_the_preview_at_that_point(tokenizer: DarTokenizer) -> None:
    codes = codes_of(tokenizer, 2)
    stream = tokenizer.start(keys(0, 1), {})
    stream.push(codes[:, :4])
    stream.push(codes[:, 4:8])
    assert torch.equal(stream.preview(), tokenizer.decode(codes, keys(0, 1), {"tokens": 8}))


def test_jump_by_velocity_is_the_papers_formula(small_tokenizer: SequentialDiffusionTokenizer) -> None:
    config = small_tokenizer.config
    noise = torch.randn(
        1, 3, config.image_size, config.image_size, generator=torch.Generator().manual_seed(0)
    )
    codes = torch.arange(8)[None]
    plain, slope = PixelStream(small_tokenizer, noise, plain_jump=True), PixelStream(small_tokenizer, noise)
    for stream in (plain, slope):
        stream.push(codes[:, :4])
        before = stream.x.clone()
        stream.push(codes[:, 4:])
    step = plain.schedule[1]
    group = small_tokenizer.conditions(codes)[:, step.first_token : step.last_token]
    velocity = small_tokenizer.pixel_decoder(before, torch.full((1,), step.time), group)
    expected = (before + (1 - step.time) * velocity) / config.data_scale
    torch.testing.assert_close(plain.estimate(), expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(plain.estimate(), slope.estimate(), atol=1e-3)


@pytest.mark.parametrize("solver", SOLVERS)
def test_solvers_agree_in_the_limit_of_many_steps(
    small_tokenizer: SequentialDiffusionTokenizer, solver: str
) -> None:
    config = small_tokenizer.config
    noise = torch.randn(
        1, 3, config.image_size, config.image_size, generator=torch.Generator().manual_seed(0)
    )
    codes = torch.zeros(1, config.tokens, dtype=torch.long)  # one code: conditions vary smoothly
    reference = PixelStream(small_tokenizer, noise, solver="heun", steps=400)
    reference.push(codes)
    errors = []
    for steps in (50, 200):
        stream = PixelStream(small_tokenizer, noise, solver=solver, steps=steps)
        stream.push(codes)
        errors.append(float((stream.estimate() - reference.estimate()).norm() / reference.estimate().norm()))
    assert errors[1] < errors[0] / 2


def test_bfloat16_stays_close(small_tokenizer: SequentialDiffusionTokenizer, tokenizer: DarTokenizer) -> None:
    rounded = copy.deepcopy(small_tokenizer)
    rounded.token_decoder.bfloat16()
    rounded.pixel_decoder.bfloat16()
    rounded.reset_tables()
    codes = codes_of(tokenizer, 2)
    exact = tokenizer.decode(codes, keys(0, 1), {}).float()
    close = DarTokenizer(tokenizer.card, rounded).decode(codes, keys(0, 1), {}).float()
    assert (exact - close).abs().mean() < 4.0


def test_compiled_network_gives_the_same_images(
    small_tokenizer: SequentialDiffusionTokenizer, tokenizer: DarTokenizer
) -> None:
    compiled = copy.deepcopy(small_tokenizer)
    compiled.pixel_decoder.compile(backend="aot_eager", fullgraph=True)
    codes = codes_of(tokenizer, 2)
    assert torch.equal(
        tokenizer.decode(codes, keys(0, 1), {}),
        DarTokenizer(tokenizer.card, compiled).decode(codes, keys(0, 1), {}),
    )


def test_too_few_tokens_for_a_step(tokenizer: DarTokenizer) -> None:
    stream = tokenizer.start(keys(0), {})
    stream.push(codes_of(tokenizer, 1)[:, :3])
    with pytest.raises(UserError, match="first step needs 4 tokens"):
        stream.preview()


def test_too_many_tokens(tokenizer: DarTokenizer) -> None:
    stream = tokenizer.start(keys(0), {})
    with pytest.raises(UserError, match="17 tokens were given to a tokenizer of 16"):
        stream.push(torch.zeros(1, 17, dtype=torch.long))


def test_code_outside_the_codebook(tokenizer: DarTokenizer) -> None:
    with pytest.raises(UserError, match="codebook has 32 entries"):
        tokenizer.decode(torch.full((1, 16), 32), keys(0), {})


def test_unknown_solver(tokenizer: DarTokenizer) -> None:
    with pytest.raises(UserError, match="adams2"):
        tokenizer.decode(codes_of(tokenizer, 1), keys(0), {"solver": "adam2"})


@pytest.mark.parametrize("row", DAR_ABLATION_TOKENIZER.reported, ids=lambda row: f"{row.source}, {row.row}")
def test_every_ablation_row_is_a_choice_of_options(row: ReportedScore) -> None:
    options = parse_options(DAR_ABLATION_TOKENIZER, row.options)
    assert (options["groups"], options["beta"]) == (row.options["groups"], row.options["beta"])


def test_groups_and_beta_as_options_are_those_of_a_model_trained_with_them(tokenizer: DarTokenizer) -> None:
    model = copy.copy(tokenizer.model)
    model.config = dataclasses.replace(model.config, groups=2, beta=4.0)
    codes = codes_of(tokenizer, 2)
    given = tokenizer.decode(codes, keys(0, 1), {"groups": "2", "beta": "4", "steps": 0})
    assert torch.equal(given, DarTokenizer(tokenizer.card, model).decode(codes, keys(0, 1), {}))
    assert not torch.equal(given, tokenizer.decode(codes, keys(0, 1), {}))


def test_convolutions_encode_without_tf32(tokenizer: DarTokenizer) -> None:
    seen: list[bool] = []
    hook = tokenizer.model.encoder.patchify.register_forward_hook(
        lambda *_: seen.append(torch.backends.cudnn.allow_tf32)
    )
    tokenizer.encode(torch.zeros(1, 3, 16, 16, dtype=torch.uint8))
    hook.remove()
    assert torch.backends.cudnn.allow_tf32
    assert seen == [False]


def test_codes_are_the_same_under_autocast() -> None:
    torch.manual_seed(0)
    quantize = VectorQuantizer(4096, 8)
    vectors = torch.nn.functional.normalize(torch.randn(2, 64, 8), dim=-1)
    with torch.autocast("cpu", torch.bfloat16):
        codes = quantize.nearest(vectors)
    assert torch.equal(codes, quantize.nearest(vectors))


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(1, 3, 16, 16),
        torch.zeros(1, 1, 16, 16, dtype=torch.uint8),
        torch.zeros(1, 3, 8, 8, dtype=torch.uint8),
    ],
)
def test_wrong_images_to_encode(tokenizer: DarTokenizer, images: torch.Tensor) -> None:
    with pytest.raises(UserError, match="encodes uint8 images of 3 x 16 x 16"):
        tokenizer.encode(images)
