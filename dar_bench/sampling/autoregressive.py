"""Generator made of a token network and a tokenizer: what an autoregressive plugin gets from the core.

The network's tokens go to the tokenizer group by group, so that a streaming tokenizer paints while the network is
still writing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dar_bench.api import GeneratedBatch, GeneratorCard, Options, SampleKeys
from dar_bench.errors import UserError
from dar_bench.sampling.engine import generate_tokens

if TYPE_CHECKING:
    import torch

    from dar_bench.api import Tokenizer, TokenNetwork


class AutoregressiveGenerator:
    """Implements ``dar_bench.api.Generator`` for a ``TokenNetwork`` and a ``Tokenizer``.

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

        self._check_labels(labels)
        tokenizer = self.tokenizer.card
        group = tokenizer.tokens // tokenizer.groups
        wanted = int(options.get("tokens", tokenizer.tokens))
        groups = -(-wanted // group)
        stream = self.tokenizer.start(keys, options)
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
        codes: list[torch.Tensor] = []
        for done, new in enumerate(tokens, start=1):
            new = new[:, : wanted - (done - 1) * group]
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
            if final:
                return

    def _check_labels(self, labels: torch.Tensor) -> None:
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= self.card.num_classes:
            wrong = low if low < 0 else high
            raise UserError(
                f"Label {wrong} is out of range.",
                why=f"'{self.card.name}' has {self.card.num_classes} classes.",
                hint=f"Give labels from 0 to {self.card.num_classes - 1}.",
            )
