"""Images of the first so many codes, for several counts at once."""

from __future__ import annotations

import time
from collections.abc import MutableMapping, Sequence
from typing import TYPE_CHECKING

from dar_bench.api import Options, SampleKeys

if TYPE_CHECKING:
    import torch

    from dar_bench.api import Tokenizer


def decode_prefixes(
    tokenizer: Tokenizer,
    codes: torch.Tensor,
    keys: SampleKeys,
    options: Options,
    counts: Sequence[int],
    seconds: MutableMapping[int, float] | None = None,
) -> dict[int, torch.Tensor]:
    """Return the images that the first codes allow, for every count, to the bit as one decoding for each would.

    All counts that are whole groups come from one decoding, whose estimate is read as the codes go by; the others
    take a decoding of their own, for a group that arrives in two pieces is rounded differently.

    Args:
        tokenizer: decodes.
        codes: int64 (B, n), on the tokenizer's device.
        keys: the samples.
        options: the tokenizer's; ``tokens`` has no effect.
        counts: each from 1 to n.
        seconds: gets, for every count, the seconds that it would have taken alone added to it: those of its codes
            and of its own read-out, not those of the read-outs before.

    Returns:
        Count to uint8 images (B, 3, H, W) on the CPU.

    Raises:
        UserError: a count too small for any image.
    """
    group = tokenizer.card.tokens // tokenizer.card.groups
    whole = sorted({count for count in counts if count % group == 0})
    spent: MutableMapping[int, float] = {} if seconds is None else seconds
    found = _decode(tokenizer, codes, keys, options, group, whole, spent) if whole else {}
    for count in sorted(set(counts) - set(whole)):
        found |= _decode(tokenizer, codes, keys, options, group, [count], spent)
    return found


def _decode(
    tokenizer: Tokenizer,
    codes: torch.Tensor,
    keys: SampleKeys,
    options: Options,
    group: int,
    counts: Sequence[int],
    seconds: MutableMapping[int, float],
) -> dict[int, torch.Tensor]:
    """Return the images at every count of a rising sequence, from one decoding."""
    started = time.perf_counter()
    earlier = 0.0  # spent on the read-outs of smaller counts
    stream = tokenizer.start(keys, options)
    found = {}
    last = counts[-1]
    for start in range(0, last, group):
        done = min(start + group, last)
        stream.push(codes[:, start:done])
        if done in counts:
            _wait_for(codes)
            reading = time.perf_counter()
            images = stream.images() if done == last else stream.preview()
            found[done] = images.cpu()
            now = time.perf_counter()
            seconds[done] = seconds.get(done, 0.0) + now - started - earlier
            earlier += now - reading
    return found


def _wait_for(tensor: torch.Tensor) -> None:
    """Let a GPU finish what was asked of it, so that a clock read now tells the truth."""
    if tensor.is_cuda:
        import torch

        torch.cuda.synchronize(tensor.device)
