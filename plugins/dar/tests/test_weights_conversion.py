"""Published checkpoint layouts into ours: complete, strict, and from the right part of the file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from dar_bench_dar.cards import CARDS, DAR_TOKENIZER
from dar_bench_dar.load import count_card, load_tokenizer
from dar_bench_dar.weights import convert_ar, convert_tokenizer
from safetensors.torch import load_file, save_file

from dar_bench.api import Card, LoadOptions
from dar_bench.cli.main import run
from dar_bench.errors import UserError

GOLDENS = Path(__file__).parent / "goldens"


@pytest.fixture
def published() -> dict[str, torch.Tensor]:
    return load_file(GOLDENS / "tokenizer.safetensors")


def test_averaged_weights_are_preferred(published: dict[str, torch.Tensor]) -> None:
    zeros = {key: torch.zeros_like(value) for key, value in published.items()}
    converted = convert_tokenizer({"model": zeros, "ema": published, "config": {"a": 1}, "optimizer": {}})
    assert torch.equal(converted["encoder.patchify.weight"], published["patchify.weight"])


def test_statistics_and_the_training_head_are_left_out(published: dict[str, torch.Tensor]) -> None:
    extra = {
        "quantize.codebook_used": torch.zeros(65536),
        "diff_decoder.net.repa_out.0.weight": torch.zeros(2, 2),
    }
    assert convert_tokenizer(published | extra).keys() == convert_tokenizer(published).keys()


def test_prefix_of_compiled_modules_is_taken_off() -> None:
    state = load_file(GOLDENS / "ar.safetensors")
    prefixed = {f"_orig_mod.{key}": value for key, value in state.items()}
    assert convert_ar({"model": prefixed}).keys() == state.keys()


def test_unknown_key_is_refused(published: dict[str, torch.Tensor]) -> None:
    with pytest.raises(UserError, match=r"1 unknown keys, such as something\.else"):
        convert_tokenizer(published | {"something.else": torch.zeros(1)})


def test_generator_file_is_no_tokenizer() -> None:
    with pytest.raises(UserError, match="not a D-AR tokenizer"):
        convert_tokenizer({"model": load_file(GOLDENS / "ar.safetensors")})


def test_tokenizer_file_is_no_generator(published: dict[str, torch.Tensor]) -> None:
    with pytest.raises(UserError, match="not a D-AR autoregressive model"):
        convert_ar(published)


def test_file_without_tensors() -> None:
    with pytest.raises(UserError, match="holds no named tensors"):
        convert_tokenizer({"epoch": 3})


def test_weights_of_other_sizes_are_refused(published: dict[str, torch.Tensor], tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    save_file(convert_tokenizer(published), file)
    with pytest.raises(UserError, match=r"does not hold the weights of 'dar-tokenizer'.*of another shape"):
        load_tokenizer(DAR_TOKENIZER, file, LoadOptions())


def test_damaged_weights(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"not a safetensors file")
    with pytest.raises(UserError, match="Cannot read the weights of 'dar-tokenizer'"):
        load_tokenizer(DAR_TOKENIZER, file, LoadOptions())


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_cards_promise_the_counted_parameters(card: Card) -> None:
    assert count_card(card) == card.parameters


def test_published_file_is_imported_through_the_command(
    published: dict[str, torch.Tensor], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "D-AR-tokenizer_v1.pt"
    torch.save({"model": published, "ema": published, "config": {"width": 128}}, file)
    assert run(["weights", "import", "dar-tokenizer", str(file)]) == 2
    assert "does not hold the weights of 'dar-tokenizer'" in capsys.readouterr().err
