"""Generator made of a token network and a tokenizer: what an autoregressive plugin gets from the core.

The network's tokens go to the tokenizer group by group, so that a streaming tokenizer paints while the network is
still writing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dar_bench.api import GeneratedBatch, GeneratorCard, Options, SampleKeys
from dar_bench.labels import check_labels
from dar_bench.sampling.engine import generate_tokens

if TYPE_CHECKING:
    import torch

    from dar_bench.api import Tokenizer, TokenNetwork


class AutoregressiveGenerator:
    """Implements ``dar_bench.api.CodeGenerator`` for a ``TokenNetwork`` and a ``Tokenizer``.

    Args:
        card: the generator's card; its options are the engine's (``cfg``, ``temperature``, ``top-k``, ``top-p``) and
            the tokenizer's.
        network: gives next-token logits.
        tokenizer: decodes the codes.
        device: where labels and codes live.
    """

    def __init__(
        self, card: GeneratorCard, network: TokenNetwork, tokenizer: Tokenizer, device: torch.device
    ):
        self.card = card
        self.network = network
        self.tokenizer = tokenizer
        self.device = device

    def generate(
        self,
        labels: torch.Tensor,
        keys: SampleKeys,
        options: Options,
        *,
        previews: bool = False,
        prefix: torch.Tensor | None = None,
    ) -> Iterator[GeneratedBatch]:
        """Yield the batch's images; see ``dar_bench.api.Generator``.

        With the option ``tokens`` below the tokenizer's number, generation stops there and the images are the
        estimate that these tokens allow.
        """
        import torch

        groups = -(-self._wanted(options) // self._group)
        tokens = self._tokens(labels, keys, options, prefix)
        stream = self.tokenizer.start(keys, options)
        codes: list[torch.Tensor] = []
        for done, new in enumerate(tokens, start=1):
            codes.append(new)
            stream.push(new)
            final = done == groups
            if final or previews:
                yield GeneratedBatch(
                    indices=keys.indices,
                    labels=labels,
                    images=stream.images() if final else stream.preview(),
                    codes=torch.cat(codes, dim=1),
                    groups_done=done,
                    groups=groups,
                )

    def codes(
        self, labels: torch.Tensor, keys: SampleKeys, options: Options, *, prefix: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the codes alone, int64 (B, n); see ``dar_bench.api.CodeGenerator``."""
        import torch

        return torch.cat(list(self._tokens(labels, keys, options, prefix)), dim=1)

    @property
    def _group(self) -> int:
        return self.tokenizer.card.tokens // self.tokenizer.card.groups

    def _wanted(self, options: Options) -> int:
        return int(options.get("tokens", self.tokenizer.card.tokens))

    def _tokens(
        self, labels: torch.Tensor, keys: SampleKeys, options: Options, prefix: torch.Tensor | None
    ) -> Iterator[torch.Tensor]:
        """Yield the groups of codes, up to as many codes as are wanted."""
        check_labels(self.card, labels)
        group, wanted = self._group, self._wanted(options)
        tokens = generate_tokens(
            self.network,
            labels.to(self.device),
            keys,
            schedule=options["cfg"],
            temperature=options["temperature"],
            top_k=options["top-k"],
            top_p=options["top-p"],
            prefix=None if prefix is None else prefix.to(self.device),
            group=group,
        )
        for start in range(0, wanted, group):
            yield next(tokens)[:, : wanted - start]
