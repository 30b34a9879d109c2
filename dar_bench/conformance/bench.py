"""Where models are run for the checks: their weights, or random ones of their layout, on any device.

A model runs where its weights are on this machine and it has no more than `RUN_LIMIT` parameters, or where it
is so small (`RANDOM_LIMIT`) that random weights of its layout are quickly made. Of all others only those parts
are checked that allocate nothing; a smaller member of the family is run in their place.
"""

from __future__ import annotations

import hashlib
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dar_bench.api import Card, GeneratorCard, LoadOptions
from dar_bench.paths import HOME_VARIABLE
from dar_bench.plugins import load_object, registry
from dar_bench.weights import status, store_path, weights_path

if TYPE_CHECKING:
    from torch import Tensor

    from dar_bench.api import Autoencoder, Generator, Tokenizer

    Model = Autoencoder | Generator | Tokenizer

RUN_LIMIT = 100_000_000
"""Parameters up to which a model whose weights are here is run; no limit with ``large``."""

RANDOM_LIMIT = 5_000_000
"""Parameters up to which a model without weights is run on random ones."""


class Bench:
    """Loads models for the checks and keeps them; use as a context manager.

    Args:
        large: also run models above `RUN_LIMIT` whose weights are on this machine.
    """

    def __init__(self, *, large: bool = False):
        self.large = large
        self._folder = tempfile.TemporaryDirectory(prefix="dar-bench-check-")
        self._models: dict[tuple[str, str, str], Model] = {}

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Forget the models and remove what was written."""
        self._models.clear()
        self._folder.cleanup()

    @property
    def folder(self) -> Path:
        """A folder for what the checks write; gone afterwards."""
        return Path(self._folder.name)

    def why_not_run(self, card: Card) -> str:
        """Return why a model is not run here, or ``""`` where it is."""
        if at_hand(card):
            if self.large or card.parameters <= RUN_LIMIT:
                return self._why_not_its_decoder(card)
            return f"{card.parameters / 1e6:.0f} M parameters; --large runs it"
        if card.parameters <= RANDOM_LIMIT and card.layout:
            return self._why_not_its_decoder(card)
        return (
            f"its weights are not here, and {card.parameters / 1e6:.0f} M parameters are many for random ones"
        )

    def _why_not_its_decoder(self, card: Card) -> str:
        needed = decoder_of(card)
        why = self.why_not_run(needed) if needed else ""
        return f"it needs {needed.name}, which is not run: {why}" if needed and why else ""

    def model(
        self, card: Card, *, dtype: Literal["float32", "bfloat16"] = "float32", device: str = "cpu"
    ) -> Model:
        """Return the loaded model; see `why_not_run` first."""
        key = (card.name, dtype, device)
        if key not in self._models:
            with self.store(card):
                self._models[key] = self.load(card, self.weights(card), dtype=dtype, device=device)
        return self._models[key]

    def load(
        self,
        card: Card,
        weights: Path,
        *,
        dtype: Literal["float32", "bfloat16"] = "float32",
        device: str = "cpu",
    ) -> Model:
        """Call the card's own ``load`` on a weights file."""
        loaded: Model = load_object(card.load)(card, weights, LoadOptions(device=device, dtype=dtype))
        return loaded

    def weights(self, card: Card) -> Path:
        """Return the card's weights file, or one of random weights."""
        if at_hand(card):
            return weights_path(card)
        path = self.folder / "random" / f"{card.name}.safetensors"
        if not path.is_file():
            from safetensors.torch import save_file

            path.parent.mkdir(parents=True, exist_ok=True)
            save_file(random_state(load_object(card.layout)(card)), path)
        return path

    @contextmanager
    def store(self, card: Card) -> Iterator[None]:
        """Make the weights of what a generator decodes with findable, random ones in a store of the bench's own."""
        needed = decoder_of(card)
        if needed is None or at_hand(needed):
            yield
            return
        random = self.weights(needed)
        before = os.environ.get(HOME_VARIABLE)
        os.environ[HOME_VARIABLE] = str(self.folder / "home")
        try:
            place = store_path(needed)
            if not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(random)
            yield
        finally:
            if before is None:
                del os.environ[HOME_VARIABLE]
            else:
                os.environ[HOME_VARIABLE] = before


def at_hand(card: Card) -> bool:
    """Tell whether a card's weights are on this machine."""
    return status(card) in ("bundled", "present")


def decoder_of(card: Card) -> Card | None:
    """Return the card of the tokenizer or autoencoder that a generator needs; `UserError` where none has its name."""
    if isinstance(card, GeneratorCard) and (card.tokenizer or card.autoencoder):
        return registry().card(card.tokenizer or card.autoencoder)
    return None


def random_state(layout: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Return seeded random tensors of a layout, scaled so that signals neither vanish nor explode.

    Matrices are normal with the variance of one over the fan-in. Vectors called ``weight`` (norms) lie around
    one, other vectors around zero. A tensor's values depend on its name and shape alone.
    """
    import torch

    state = {}
    for name, shape in layout.items():
        seed = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest(), "little")
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        if len(shape) >= 2:
            state[name] = noise / math.sqrt(max(1, math.prod(shape[1:])))
        else:
            state[name] = 0.1 * noise + (1.0 if name.endswith("weight") else 0.0)
    return state
