"""Autoregressive sampling with classifier-free guidance, a static cache and per-sample randomness.

Guided logits are u + s * (c - u), with one scale s per token. A branch is read only where it counts: the
unconditional one not where s is 1, the conditional one not where s is 0. A branch that was left behind reads
all tokens it has missed in one pass when it is next needed, so schedules may leave and rejoin s = 1 at will;
a branch that is never needed again costs nothing.

Sample i is a function of (seed, i), its label and the network. The one thing that batching can still change
is the rounding of the network's matrix products, which libraries choose by batch size: a draw turns where the
two best candidates are closer than that, about once in a million tokens in float32, and far more often in
bfloat16 on devices whose bfloat16 products depend on the batch.

Shapes: B samples, N tokens per image, V codebook entries.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch

from dar_bench.errors import UserError
from dar_bench.sampling.filters import draw, filter_logits
from dar_bench.sampling.guidance import Scales, Schedule
from dar_bench.sampling.randomness import words

if TYPE_CHECKING:
    from dar_bench.api import SampleKeys, TokenNetwork
    from dar_bench.nn.cache import KVCache


def generate_tokens(
    network: TokenNetwork,
    labels: torch.Tensor,
    keys: SampleKeys,
    *,
    schedule: Schedule,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    prefix: torch.Tensor | None = None,
    group: int,
) -> Iterator[torch.Tensor]:
    """Sample token sequences and yield every group of tokens as soon as it exists.

    Args:
        network: the model; it computes in its own type, and its logits are float32.
        labels: int64 (B,), on the network's device; the null label samples without a class.
        keys: which samples these are.
        schedule: the guidance scale of every token.
        temperature: 0 takes the most probable token always.
        top_k, top_p: see ``filter_logits``.
        prefix: int64 (B, n) first tokens, given and fixed; they are yielded with the others.
        group: tokens per yield; the last group is shorter where N is no multiple of it.

    Returns:
        Iterator of int64 (B, group).

    Raises:
        UserError: at once for arguments out of range; while iterating, if the network returns NaN.
    """
    _check(network, labels, keys, temperature, top_k, top_p, prefix, group)
    codes = torch.empty(len(keys), network.num_tokens, dtype=torch.int64, device=labels.device)
    given = 0
    if prefix is not None:
        given = prefix.shape[1]
        codes[:, :given] = prefix
    scales = schedule.scales(network.num_tokens)
    states = torch.from_numpy(words(keys, "tokens", network.num_tokens).view(np.int64)).to(labels.device)

    def pick(logits: torch.Tensor, token: int) -> torch.Tensor:
        if temperature == 0:
            return logits.argmax(dim=-1)
        filtered = filter_logits(logits, temperature=temperature, top_k=top_k, top_p=top_p)
        return draw(filtered, states[:, token])

    def stream() -> Iterator[torch.Tensor]:
        if given == network.num_tokens:
            yield from torch.split(codes, group, dim=1)
            return
        reader = _GuidedReader(network, labels, codes, scales[given:])
        for start in range(0, network.num_tokens, group):
            stop = min(start + group, network.num_tokens)
            # Grad mode is thread-wide state: it must not be switched while the caller holds the generator.
            with torch.inference_mode():
                for token in range(max(start, given), stop):
                    logits = reader.next_logits(token, float(scales[token]))
                    codes[:, token] = pick(logits, token)
            if stop > given and not bool(torch.isfinite(logits).all()):
                raise UserError(
                    f"The network returned NaN or infinite logits by token {stop - 1}.",
                    hint="Check the weights with 'dar-bench weights verify', or sample in float32.",
                )
            yield codes[:, start:stop].clone()

    return stream()


class _Branch:
    """One label's view of the sequences: the cache rows it owns, and how many positions it has read."""

    def __init__(self, labels: torch.Tensor, cache: KVCache):
        self.labels = labels
        self.cache = cache
        self.read = 0


class _GuidedReader:
    """Reads the tokens so far with the branches that the scale needs, and combines their logits."""

    def __init__(self, network: TokenNetwork, labels: torch.Tensor, codes: torch.Tensor, scales: Scales):
        self._network = network
        self._codes = codes
        self._position = torch.zeros((), dtype=torch.int64, device=labels.device)
        branch_labels = []
        if np.any(scales != 0.0):
            branch_labels.append(labels)
        if np.any(scales != 1.0):
            branch_labels.append(torch.full_like(labels, network.null_label))
        batch = len(labels)
        # Both branches live in one cache, so that they can be read together as one batch [cond; uncond].
        self._cache = network.new_cache(batch * len(branch_labels))
        branches = [
            _Branch(own, self._cache.rows(index * batch, (index + 1) * batch))
            for index, own in enumerate(branch_labels)
        ]
        self._conditional, self._unconditional = branches[0], branches[-1]

    def next_logits(self, token: int, scale: float) -> torch.Tensor:
        """Return guided float32 logits (B, V) of ``token``; all tokens before it are in ``codes``."""
        conditional, unconditional = self._conditional, self._unconditional
        if scale == 1.0:
            return self._read_single(conditional, token)
        if scale == 0.0:
            return self._read_single(unconditional, token)
        if conditional.read == unconditional.read:
            both = torch.cat((conditional.labels, unconditional.labels))
            logits = self._read(both, self._cache, conditional.read, token)
            conditional.read = unconditional.read = token + 1
            with_class, without = logits.chunk(2)
        else:
            with_class = self._read_single(conditional, token)
            without = self._read_single(unconditional, token)
        return without + scale * (with_class - without)

    def _read_single(self, branch: _Branch, token: int) -> torch.Tensor:
        logits = self._read(branch.labels, branch.cache, branch.read, token)
        branch.read = token + 1
        return logits

    def _read(self, labels: torch.Tensor, cache: KVCache, read: int, token: int) -> torch.Tensor:
        """Read positions ``read`` to ``token`` (position p holds image token p - 1) and return logits."""
        copies = len(labels) // len(self._codes)
        missed = self._codes[:, max(read - 1, 0) : token].repeat(copies, 1)
        if read == 0:
            return self._network.prefill(labels, missed, cache)
        if read < token:
            return self._network.extend(missed, read, cache)
        # One tensor refilled, not one made per step: its address stays, as CUDA graphs need it.
        self._position.fill_(token)
        return self._network.step(missed[:, 0], self._position, cache)


def _check(
    network: TokenNetwork,
    labels: torch.Tensor,
    keys: SampleKeys,
    temperature: float,
    top_k: int,
    top_p: float,
    prefix: torch.Tensor | None,
    group: int,
) -> None:
    if labels.shape != (len(keys),) or len(keys) == 0:
        raise UserError(f"{len(keys)} samples need as many labels, got shape {tuple(labels.shape)}.")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high > network.null_label:
        raise UserError(
            f"Label {low if low < 0 else high} is out of range.",
            why=f"Labels run from 0 to {network.null_label - 1}; {network.null_label} means no class.",
        )
    if not 0 <= temperature < float("inf"):
        raise UserError(f"Temperature {temperature} is out of range.", hint="Give a number of 0 or above.")
    if top_k < 0:
        raise UserError(f"top-k {top_k} is out of range.", hint="Give 0 for all tokens, or a positive count.")
    if not 0 < top_p <= 1:
        raise UserError(f"top-p {top_p} is out of range.", hint="Give a number above 0 and up to 1.")
    if group < 1:
        raise UserError(f"Groups of {group} tokens do not exist.", hint="Give a positive count.")
    if prefix is not None:
        _check_prefix(network, prefix, len(keys))


def _check_prefix(network: TokenNetwork, prefix: torch.Tensor, batch: int) -> None:
    if prefix.ndim != 2 or len(prefix) != batch or prefix.shape[1] > network.num_tokens:
        raise UserError(
            f"A prefix of shape {tuple(prefix.shape)} does not fit.",
            why=f"It must hold {batch} rows of at most {network.num_tokens} codes.",
        )
    if prefix.numel() and (int(prefix.min()) < 0 or int(prefix.max()) >= network.codebook_size):
        raise UserError(
            "The prefix holds codes that are out of range.",
            why=f"Codes of this model run from 0 to {network.codebook_size - 1}.",
        )
