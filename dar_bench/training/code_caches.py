"""The codes that an autoregressive training learns: given, or made once inside the run folder."""

from __future__ import annotations

from pathlib import Path

import torch

from dar_bench.api import LoadOptions, Tokenizer, TokenizerCard
from dar_bench.console import progress
from dar_bench.data import open_source
from dar_bench.data.codes import CodeCache
from dar_bench.data.tokenization import tokenize
from dar_bench.errors import UserError
from dar_bench.hashing import sha256_file
from dar_bench.plugins import load_model
from dar_bench.training.distributed import on_main
from dar_bench.training.next_token_recipe import CodeData
from dar_bench.weights import status, weights_path


def open_codes(data: CodeData, card: TokenizerCard, run_dir: Path, device: torch.device) -> CodeCache:
    """Open the given cache, or fill one inside the run folder, on one process while the others wait.

    Raises:
        UserError: the given codes are unfinished, or not of the tokenizer that will decode the samples.
    """
    if data.codes:
        cache = CodeCache.open(Path(data.codes))
        _check(cache, data, card)
        return cache
    source = open_source(data.train)
    folder = run_dir / "codes"

    def fill() -> None:
        with progress(f"Encoding {data.train}", len(source)) as bar:
            tokenize(
                open_tokenizer(data.tokenizer, device),
                source,
                folder,
                weights_sha256=sha256_file(weights_path(card)),
                crops=data.crops,
                batch_size=data.batch_size,
                on_images=bar.advance,
            )

    on_main(fill)
    return CodeCache.open(folder)


def open_tokenizer(name: str, device: torch.device) -> Tokenizer:
    """Return a tokenizer on a device."""
    model = load_model(name, LoadOptions(device=str(device)))
    if not isinstance(model, Tokenizer):
        raise TypeError(f"{name} is not a tokenizer")
    return model


def _check(cache: CodeCache, data: CodeData, card: TokenizerCard) -> None:
    """Refuse codes that are unfinished, or not of the tokenizer that will decode the samples."""
    if not cache.complete:
        raise UserError(
            f"The codes in {data.codes} are not complete: {len(cache)} of {cache.expected} images.",
            hint="Run the same 'dar-bench tokenize' again; it goes on where it stopped.",
        )
    why = ""
    if cache.key.tokens != card.tokens or cache.key.codebook_size != card.codebook_size:
        why = (
            f"They have {cache.key.tokens} tokens of {cache.key.codebook_size} codes, the tokenizer "
            f"{card.tokens} of {card.codebook_size}."
        )
    elif status(card) in ("bundled", "present"):  # elsewhere the sizes are all there is to compare
        weights = sha256_file(weights_path(card))
        if cache.key.tokenizer != weights:
            why = f"They were made with weights {cache.key.tokenizer[:12]}, its weights are {weights[:12]}."
    if why:
        raise UserError(
            f"The codes in {data.codes} are not those of '{data.tokenizer}'.",
            why=why,
            hint="Name the tokenizer that made them with --tokenizer, or make them again.",
        )
