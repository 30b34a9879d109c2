"""Published checkpoint layouts into ours: complete, strict, and from the right part of the file."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import torch
from dar_bench_llamagen.cards import LLAMAGEN_TOKENIZER, LLAMAGEN_TOKENIZER_384
from dar_bench_llamagen.load import layout, load_tokenizer
from dar_bench_llamagen.weights import convert_ar, convert_tokenizer
from safetensors.torch import load_file, save_file

from dar_bench.api import LoadOptions
from dar_bench.checkpoints import read_checkpoint
from dar_bench.cli.main import run
from dar_bench.errors import UserError
from dar_bench.nn.llama import Llama

GOLDENS = Path(__file__).parent / "goldens"
State = dict[str, torch.Tensor]


@pytest.fixture
def tokenizer_state() -> State:
    return load_file(GOLDENS / "vq_tiny_weights.safetensors")


@pytest.fixture
def ar_state() -> State:
    return load_file(GOLDENS / "gpt_tiny_weights.safetensors")


def test_published_names_and_shapes_of_the_tokenizer() -> None:
    """VQ-16's 344 tensors, of which one is a buffer that only its training needs."""
    shapes = layout(LLAMAGEN_TOKENIZER)
    assert len(shapes) == 343
    expected = {
        "encoder.conv_in.weight": (128, 3, 3, 3),
        "encoder.conv_blocks.2.res.0.nin_shortcut.weight": (256, 128, 1, 1),
        "encoder.conv_blocks.4.res.0.nin_shortcut.weight": (512, 256, 1, 1),
        "encoder.conv_blocks.4.attn.1.proj_out.weight": (512, 512, 1, 1),
        "encoder.conv_blocks.3.downsample.conv.weight": (256, 256, 3, 3),
        "encoder.mid.1.q.bias": (512,),
        "encoder.norm_out.weight": (512,),
        "encoder.conv_out.weight": (256, 512, 3, 3),
        "decoder.conv_in.weight": (512, 256, 3, 3),
        "decoder.conv_blocks.0.attn.2.norm.weight": (512,),
        "decoder.conv_blocks.1.res.0.nin_shortcut.weight": (256, 512, 1, 1),
        "decoder.conv_blocks.3.res.0.nin_shortcut.weight": (128, 256, 1, 1),
        "decoder.conv_blocks.3.upsample.conv.weight": (128, 128, 3, 3),
        "decoder.conv_blocks.4.res.2.conv2.weight": (128, 128, 3, 3),
        "decoder.conv_out.weight": (3, 128, 3, 3),
        "quantize.embedding.weight": (16384, 8),
        "quant_conv.weight": (8, 256, 1, 1),
        "post_quant_conv.weight": (256, 8, 1, 1),
    }
    assert {name: shapes.get(name) for name in expected} == expected
    for absent in ("encoder.conv_blocks.4.downsample", "decoder.conv_blocks.4.upsample", "codebook_used"):
        assert not any(absent in name for name in shapes)


def test_both_sizes_of_image_share_the_weights() -> None:
    assert layout(LLAMAGEN_TOKENIZER) == layout(LLAMAGEN_TOKENIZER_384)


def test_every_tensor_is_taken_over(tokenizer_state: State, ar_state: State, golden_network: Llama) -> None:
    converted = convert_tokenizer({"model": tokenizer_state, "optimizer": {"a": 1}, "steps": 3})
    assert converted.keys() | {"quantize.codebook_used"} == tokenizer_state.keys()
    assert all(torch.equal(value, tokenizer_state[name]) for name, value in converted.items())
    assert convert_ar({"model": ar_state}).keys() == golden_network.state_dict().keys()


@pytest.mark.parametrize("wrap", ["model", "module", "state_dict", ""])
def test_every_published_form_of_a_generator_file(ar_state: State, tmp_path: Path, wrap: str) -> None:
    """DDP files carry an argparse namespace; old files a copy of the rotary table; FSDP files are bare."""
    state = ar_state | {"freqs_cis": torch.zeros(17, 16, 2)}
    checkpoint = {wrap: state, "args": argparse.Namespace(lr=1e-4), "steps": 5} if wrap else state
    torch.save(checkpoint, tmp_path / "c2i.pt")
    converted = convert_ar(read_checkpoint(tmp_path / "c2i.pt"))
    assert converted.keys() == ar_state.keys()
    assert all(torch.equal(converted[name], ar_state[name]) for name in ar_state)


def test_averaged_tokenizer_weights_are_preferred(tokenizer_state: State) -> None:
    zeros = {key: torch.zeros_like(value) for key, value in tokenizer_state.items()}
    converted = convert_tokenizer({"model": zeros, "ema": tokenizer_state})
    assert torch.equal(converted["quant_conv.weight"], tokenizer_state["quant_conv.weight"])


def test_files_of_something_else(tokenizer_state: State, ar_state: State) -> None:
    with pytest.raises(UserError, match=r"1 unknown keys, such as something\.else"):
        convert_tokenizer(tokenizer_state | {"something.else": torch.zeros(1)})
    with pytest.raises(UserError, match="not a LlamaGen tokenizer"):
        convert_tokenizer({"model": ar_state})
    with pytest.raises(UserError, match="not a LlamaGen autoregressive model"):
        convert_ar(tokenizer_state)
    with pytest.raises(UserError, match="no LlamaGen checkpoint: it holds no named tensors"):
        convert_ar({"epoch": 3})


def test_weights_of_other_sizes_are_refused(tokenizer_state: State, tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    save_file(convert_tokenizer(tokenizer_state), file)
    with pytest.raises(UserError, match=r"does not hold the weights of 'llamagen-tokenizer'.*missing"):
        load_tokenizer(LLAMAGEN_TOKENIZER, file, LoadOptions())


def test_a_wrong_file_is_refused_by_the_command(
    ar_state: State, tmp_path: Path, capsys: pytest.CaptureFixture[str], store: Path
) -> None:
    torch.save({"model": ar_state}, tmp_path / "c2i_B_256.pt")
    assert run(["weights", "import", "llamagen-b", str(tmp_path / "c2i_B_256.pt")]) == 2
    assert "does not hold the weights of 'llamagen-b'" in capsys.readouterr().err
    assert not list(store.rglob("*.safetensors"))
