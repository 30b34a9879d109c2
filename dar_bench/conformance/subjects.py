"""What the rules look at: plugins, cards, running models, commands, data sets."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast

from dar_bench.api import (
    Autoencoder,
    AutoencoderCard,
    Card,
    CommandSpec,
    DatasetSpec,
    GeneratedBatch,
    Generator,
    GeneratorCard,
    Plugin,
    SampleKeys,
    Tokenizer,
    TokenizerCard,
)
from dar_bench.conformance.bench import Bench
from dar_bench.options import parse_options

if TYPE_CHECKING:
    from torch import Tensor

BATCH = 4
"""Samples that the rules run together."""

SEED = 20_250_530

Dtype = Literal["float32", "bfloat16"]


@dataclass(frozen=True, kw_only=True)
class PluginSubject:
    """A plugin with the ``module:attribute`` of its entry point."""

    plugin: Plugin
    target: str
    bench: Bench

    def __str__(self) -> str:
        return f"plugin {self.plugin.name}"


@dataclass(frozen=True, kw_only=True)
class CommandSubject:
    """A command of a plugin."""

    command: CommandSpec
    plugin: Plugin
    bench: Bench

    def __str__(self) -> str:
        return f"command {self.command.group} {self.command.name}"


@dataclass(frozen=True, kw_only=True)
class DatasetSubject:
    """A data set of a plugin."""

    dataset: DatasetSpec
    bench: Bench

    def __str__(self) -> str:
        return f"data set {self.dataset.name}"


@dataclass(frozen=True, kw_only=True)
class CardSubject:
    """A card, looked at without running its model."""

    card: Card
    plugin: Plugin
    bench: Bench

    def __str__(self) -> str:
        return f"model {self.card.name}"

    def options(self, **texts: str) -> dict[str, object]:
        """Return complete options: the card's quick ones, with ``texts`` (underscores for dashes) over them."""
        named = {name.replace("_", "-"): text for name, text in texts.items()}
        return parse_options(self.card, {**self.card.check_options, **named})


@dataclass(frozen=True, kw_only=True)
class TokenizerSubject(CardSubject):
    """A tokenizer that runs."""

    card: TokenizerCard
    _codes: dict[str, Tensor] = field(default_factory=dict)

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer on the CPU in float32."""
        return cast(Tokenizer, self.bench.model(self.card))

    def images(self, count: int = BATCH) -> Tensor:
        """Return the images that are encoded; see `colour_fields`."""
        return colour_fields(count, self.card.image_size)

    def codes(self) -> Tensor:
        """Return the codes of `images`, int64 (B, N), encoded once."""
        if "codes" not in self._codes:
            self._codes["codes"] = self.tokenizer.encode(self.images()).cpu()
        return self._codes["codes"]

    def decode(self, rows: Sequence[int], tokenizer: Tokenizer | None = None, **texts: str) -> Tensor:
        """Return the images of some of the `codes`, as samples with the rows' indices, on the CPU."""
        decoder = tokenizer or self.tokenizer
        return decoder.decode(self.codes()[list(rows)], keys(rows), self.options(**texts)).cpu()

    def group_size(self) -> int:
        """Return how many codes one preview takes."""
        return -(-self.card.tokens // self.card.groups)


@dataclass(frozen=True, kw_only=True)
class AutoencoderSubject(CardSubject):
    """An autoencoder that runs."""

    card: AutoencoderCard

    @property
    def autoencoder(self) -> Autoencoder:
        """The autoencoder on the CPU in float32."""
        return cast(Autoencoder, self.bench.model(self.card))

    def images(self) -> Tensor:
        """Return the images that are encoded; see `colour_fields`."""
        return colour_fields(BATCH, self.card.image_size)

    def latents(self, rows: Sequence[int] = range(BATCH)) -> Tensor:
        """Return the mean latents of some of the images."""
        return self.autoencoder.moments(self.images()[list(rows)])[0].cpu()

    def decode(self, rows: Sequence[int] = range(BATCH)) -> Tensor:
        """Encode some of the images together and return what is decoded, on the CPU."""
        mean, _ = self.autoencoder.moments(self.images()[list(rows)])
        return self.autoencoder.decode(mean).cpu()


@dataclass(frozen=True, kw_only=True)
class GeneratorSubject(CardSubject):
    """A generator that runs."""

    card: GeneratorCard
    _made: dict[object, GeneratedBatch] = field(default_factory=dict)

    @property
    def generator(self) -> Generator:
        """The generator on the CPU in float32."""
        return cast(Generator, self.bench.model(self.card))

    def label(self, index: int) -> int:
        """Return the label that sample ``index`` has unless a rule says otherwise."""
        return index % self.card.num_classes

    def stream(
        self,
        rows: Sequence[int],
        *,
        labels: Sequence[int] | None = None,
        seed: int = SEED,
        previews: bool = False,
        prefix: Tensor | None = None,
        generator: Generator | None = None,
        texts: Mapping[str, str] | None = None,
    ) -> list[GeneratedBatch]:
        """Return all that the generator yields for the samples ``rows`` of a run."""
        import torch

        wanted = [self.label(row) for row in rows] if labels is None else list(labels)
        return list(
            (generator or self.generator).generate(
                torch.tensor(wanted, dtype=torch.int64),
                keys(rows, seed),
                parse_options(self.card, {**self.card.check_options, **(texts or {})}),
                previews=previews,
                prefix=prefix,
            )
        )

    def final(
        self,
        rows: Sequence[int] = range(BATCH),
        *,
        labels: Sequence[int] | None = None,
        seed: int = SEED,
        texts: Mapping[str, str] | None = None,
    ) -> GeneratedBatch:
        """Return the finished images of some samples; equal calls are made once."""
        key = (tuple(rows), tuple(labels or ()), seed, tuple(sorted((texts or {}).items())))
        if key not in self._made:
            self._made[key] = self.stream(rows, labels=labels, seed=seed, texts=texts)[-1]
        return self._made[key]


def colour_fields(count: int, size: int) -> Tensor:
    """Return uint8 images (count, 3, S, S): fields of colour with some grain, always the same."""
    import torch

    source = torch.Generator().manual_seed(SEED)
    coarse = torch.rand((count, 3, 4, 4), generator=source)
    smooth = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")
    grain = 0.1 * torch.rand((count, 3, size, size), generator=source)
    return (230 * smooth + 255 * grain).clamp(0, 255).to(torch.uint8)


def keys(rows: Sequence[int], seed: int = SEED) -> SampleKeys:
    """Return the keys of samples ``rows`` of a run."""
    return SampleKeys(seed=seed, indices=tuple(rows))


@contextmanager
def global_seed(seed: int) -> Iterator[None]:
    """Set every global random generator for the block, and put them back afterwards."""
    import numpy as np
    import torch

    before = torch.get_rng_state(), np.random.get_state(), random.getstate()
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(before[0])
        np.random.set_state(before[1])
        random.setstate(before[2])
