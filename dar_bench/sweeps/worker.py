"""The models and extractors of one process, each loaded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dar_bench.api import LoadOptions
from dar_bench.errors import UserError
from dar_bench.evaluation.extraction import distinct_extractors
from dar_bench.evaluation.scoring import load_panel
from dar_bench.evaluators.pixels import optional_lpips
from dar_bench.features.base import Extractor
from dar_bench.loading import (
    LoadedGenerator,
    LoadedTokenizer,
    generator_card,
    load_generator,
    load_tokenizer,
    tokenizer_card,
)
from dar_bench.metrics.lpips import Lpips


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """A model as a plan names it; any process that has its weights can load it.

    Attributes:
        name: its card's name, or an export folder.
        weights: path of a safetensors file to use instead of its own; empty for its own.
        loading: device, precision, compilation.
        sha256: hash of the weights that the plan was made for, and of those of the tokenizer or autoencoder behind
            it; empty where the plan was made without the weights.
    """

    name: str
    weights: str = ""
    loading: LoadOptions = field(default_factory=LoadOptions)
    sha256: tuple[str, str] = ("", "")


class Worker:
    """Loads what jobs ask for and keeps it."""

    def __init__(self) -> None:
        self._generators: dict[ModelSpec, LoadedGenerator] = {}
        self._tokenizers: dict[ModelSpec, LoadedTokenizer] = {}
        self._extractors: dict[tuple[tuple[str, ...], str], list[Extractor]] = {}
        self._lpips: dict[str, Lpips | None] = {}

    def generator(self, spec: ModelSpec) -> LoadedGenerator:
        """Return a generator.

        Raises:
            UserError: its weights are not here, or others than the plan was made for.
        """
        if spec not in self._generators:
            loaded = load_generator(generator_card(spec.name), spec.loading, _path(spec))
            decoder = loaded.decoder.weights_sha256 if loaded.decoder is not None else ""
            _check(spec, (loaded.weights_sha256, decoder))
            self._generators[spec] = loaded
        return self._generators[spec]

    def tokenizer(self, spec: ModelSpec) -> LoadedTokenizer:
        """Return a tokenizer; errors as for ``generator``."""
        if spec not in self._tokenizers:
            loaded = load_tokenizer(tokenizer_card(spec.name), spec.loading, _path(spec))
            _check(spec, (loaded.weights_sha256, ""))
            self._tokenizers[spec] = loaded
        return self._tokenizers[spec]

    def extractors(self, evaluators: Sequence[str], device: str) -> list[Extractor]:
        """Return the extractors that evaluators need, each once."""
        wanted = tuple(evaluators), device
        if wanted not in self._extractors:
            self._extractors[wanted] = distinct_extractors(load_panel(evaluators, device).evaluators)
        return self._extractors[wanted]

    def lpips(self, device: str) -> Lpips | None:
        """Return LPIPS where it can be had."""
        if device not in self._lpips:
            self._lpips[device] = optional_lpips(device)[0]
        return self._lpips[device]


def _path(spec: ModelSpec) -> Path | None:
    return Path(spec.weights) if spec.weights else None


def _check(spec: ModelSpec, found: tuple[str, str]) -> None:
    if any(planned and planned != here for planned, here in zip(spec.sha256, found, strict=True)):
        raise UserError(
            f"'{spec.name}' has other weights here than the plan was made for.",
            why=f"Planned {spec.sha256[0][:12]} {spec.sha256[1][:12]}, found {found[0][:12]} {found[1][:12]}.",
            hint="Use the same weights on every machine, and do not change them while a sweep runs.",
        )
