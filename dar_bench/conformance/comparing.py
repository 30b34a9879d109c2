"""How the rules compare images and codes, with the tolerances that rounding allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dar_bench.conformance.rules import Broken, demand
from dar_bench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

RARE = 0.01
"""Share of pixel values that may differ by one grey level between equal samples.

Libraries choose their matrix products by batch size, so floats differ by some 1e-6 of their size; a value of
0 to 255 turns to the next grey level where it lies that close to a step, about once in 1e4. One in a hundred
leaves room for deep networks and many solver steps.
"""

NEAR_TIES = 1
"""Codes that may differ between equal samples: two candidates can be closer than rounding."""

BFLOAT16_LEVELS = 8.0
"""Grey levels that images may differ by on average between bfloat16 and float32.

A bfloat16 number carries a relative rounding error of up to 2**-9. Over L roundings in a row such errors add up
like a random walk, sqrt(L) * 2**-9; with L = 1000 that is 6 % of the half range of 127.5 levels, about 8.
"""


def check_images(images: Tensor, count: int, size: int, what: str) -> None:
    """Demand uint8 (count, 3, size, size)."""
    import torch

    demand(isinstance(images, torch.Tensor), f"{what} are a {type(images).__name__}, not a tensor")
    demand(images.dtype == torch.uint8, f"{what} are {images.dtype}, not torch.uint8")
    wanted = (count, 3, size, size)
    demand(tuple(images.shape) == wanted, f"{what} have shape {tuple(images.shape)}, not {wanted}")


def check_codes(codes: Tensor, count: int, tokens: int, codebook: int, what: str) -> None:
    """Demand int64 (count, tokens) with values of the codebook."""
    import torch

    demand(isinstance(codes, torch.Tensor), f"{what} are a {type(codes).__name__}, not a tensor")
    demand(codes.dtype == torch.int64, f"{what} are {codes.dtype}, not torch.int64")
    wanted = (count, tokens)
    demand(tuple(codes.shape) == wanted, f"{what} have shape {tuple(codes.shape)}, not {wanted}")
    low, high = int(codes.min()), int(codes.max())
    demand(low >= 0 and high < codebook, f"{what} run from {low} to {high}; the codebook has {codebook}")


def same_images(first: Tensor, second: Tensor, between: str) -> str:
    """Demand images that are equal up to rounding, and say how equal they are."""
    first, second = first.cpu(), second.cpu()
    demand(first.shape == second.shape, f"shapes differ {between}: {first.shape} and {second.shape}")
    difference = (first.int() - second.int()).abs()
    share, most = float((difference > 0).float().mean()), int(difference.max())
    if most > 1 or share > RARE:
        raise Broken(f"{share:.1%} of the pixel values differ {between}, by up to {most} grey levels")
    return "to the bit" if most == 0 else f"up to one grey level in {share:.2%} of the values"


def same_codes(first: Tensor, second: Tensor, between: str) -> None:
    """Demand equal codes, near ties apart."""
    demand(first.shape == second.shape, f"code shapes differ {between}: {first.shape} and {second.shape}")
    turned = int((first.cpu() != second.cpu()).sum())
    if turned > NEAR_TIES:
        raise Broken(f"{turned} of {first.numel()} codes differ {between}")


def mean_levels(first: Tensor, second: Tensor) -> float:
    """Return the mean absolute difference of two image batches in grey levels."""
    return float((first.cpu().float() - second.cpu().float()).abs().mean())


def refuses(act: Callable[[], object], what: str) -> str:
    """Demand that ``act`` raises `UserError`, and return its first sentence."""
    try:
        act()
    except UserError as error:
        return error.what
    except Exception as error:
        raise Broken(
            f"{what} raises {type(error).__name__} ({str(error).splitlines()[0] if str(error) else ''}), "
            "not dar_bench.errors.UserError"
        ) from error
    raise Broken(f"{what} is accepted; it must raise dar_bench.errors.UserError")
