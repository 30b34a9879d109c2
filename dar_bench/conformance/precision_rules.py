"""Rules of precision and device: bfloat16 and CUDA give what float32 on the CPU gives, up to their rounding."""

from __future__ import annotations

from typing import cast

from dar_bench.api import Generator, Tokenizer
from dar_bench.conformance.comparing import (
    BFLOAT16_LEVELS,
    check_images,
    mean_levels,
    same_codes,
)
from dar_bench.conformance.rules import DoesNotApply, demand, rule
from dar_bench.conformance.subjects import BATCH, Dtype, GeneratorSubject, TokenizerSubject

AGREE = 0.75
"""Share of next codes that must be drawn alike.

With the same random words a draw turns only where the distributions differ; bfloat16 moves logits by about
1 % of their size, hence probabilities by a few per cent.
"""

CUDA_LEVELS = 1.0
"""Grey levels that images may differ by on average between CPU and CUDA, both in float32."""

CUDA = "cuda:0"

ROWS = range(4 * BATCH)


@rule("tokenizer-bfloat16", "tokenizer")
def tokenizer_bfloat16(subject: TokenizerSubject) -> str:
    """In bfloat16 the same codes decode to nearly the same images."""
    return _tokenizer_elsewhere(subject, "bfloat16", "cpu", BFLOAT16_LEVELS)


@rule("tokenizer-cuda", "tokenizer")
def tokenizer_cuda(subject: TokenizerSubject) -> str:
    """On a CUDA device images get the same codes and codes nearly the same images."""
    _need_cuda()
    cuda = cast(Tokenizer, subject.bench.model(subject.card, device=CUDA))
    same_codes(subject.codes(), cuda.encode(subject.images()).cpu(), "between CPU and CUDA")
    return _tokenizer_elsewhere(subject, "float32", CUDA, CUDA_LEVELS)


@rule("generator-bfloat16", "generator")
def generator_bfloat16(subject: GeneratorSubject) -> str:
    """In bfloat16 the next code is mostly the same, or without codes the images are nearly the same."""
    return _generator_elsewhere(subject, "bfloat16", "cpu", BFLOAT16_LEVELS)


@rule("generator-cuda", "generator")
def generator_cuda(subject: GeneratorSubject) -> str:
    """On a CUDA device the next code is mostly the same, or without codes the images are nearly the same."""
    _need_cuda()
    return _generator_elsewhere(subject, "float32", CUDA, CUDA_LEVELS)


def _need_cuda() -> None:
    import torch

    if not torch.cuda.is_available():
        raise DoesNotApply("there is no CUDA device here")


def _tokenizer_elsewhere(subject: TokenizerSubject, dtype: Dtype, device: str, allowed: float) -> str:
    other = cast(Tokenizer, subject.bench.model(subject.card, dtype=dtype, device=device))
    images = subject.decode(range(BATCH), other)
    check_images(images, BATCH, subject.card.image_size, "images")
    away = mean_levels(images, subject.decode(range(BATCH)))
    demand(
        away <= allowed, f"images are {away:.1f} grey levels away from float32 on the CPU, over {allowed:g}"
    )
    return f"{away:.2f} grey levels away on average"


def _generator_elsewhere(subject: GeneratorSubject, dtype: Dtype, device: str, allowed: float) -> str:
    """Compare images, or where there are codes each sample's last one after the same first ones.

    Whole sequences cannot be compared: one code that turns changes all that follow.
    """
    other = cast(Generator, subject.bench.model(subject.card, dtype=dtype, device=device))
    final = subject.final(ROWS)
    if final.codes is None:
        images = subject.stream(ROWS, generator=other)[-1].images
        check_images(images, len(ROWS), subject.card.image_size, "images")
        away = mean_levels(images, final.images)
        demand(
            away <= allowed,
            f"images are {away:.1f} grey levels away from float32 on the CPU, over {allowed:g}",
        )
        return f"{away:.2f} grey levels away on average"
    given = final.codes[:, :-1]
    last = subject.stream(ROWS, prefix=given, generator=other)[-1].codes
    demand(last is not None, "there are no codes")
    assert last is not None
    same = float((last[:, -1].cpu() == final.codes[:, -1].cpu()).float().mean())
    demand(same >= AGREE, f"only {same:.0%} of the next codes are those of float32 on the CPU")
    return f"{same:.0%} of {len(ROWS)} next codes are the same"
