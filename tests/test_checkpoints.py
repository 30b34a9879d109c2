from __future__ import annotations

import argparse
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dar_bench.checkpoints import check_layout, read_checkpoint
from dar_bench.errors import UserError

STATE = {"table": torch.arange(6.0).reshape(2, 3), "bias": torch.zeros(2)}


class Code:
    """What a malicious or careless checkpoint holds: an object of a class of its own."""


def test_published_forms_are_read(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "a.safetensors")
    torch.save({"model": STATE, "args": argparse.Namespace(lr=0.1)}, tmp_path / "b.pt")
    torch.save(STATE, tmp_path / "c.pth", _use_new_zipfile_serialization=False)
    for loaded in (
        read_checkpoint(tmp_path / "a.safetensors"),
        read_checkpoint(tmp_path / "b.pt")["model"],
        read_checkpoint(tmp_path / "c.pth"),
    ):
        assert torch.equal(loaded["table"], STATE["table"])
        assert set(loaded) == set(STATE)


@pytest.mark.parametrize("new_format", [True, False])
def test_a_pickle_with_code_needs_trust(tmp_path: Path, new_format: bool) -> None:
    path = tmp_path / "model.pt"
    torch.save({"model": STATE, "config": Code()}, path, _use_new_zipfile_serialization=new_format)
    with pytest.raises(UserError, match="cannot be loaded safely") as caught:
        read_checkpoint(path)
    assert "--trust" in caught.value.hint
    if new_format:
        assert "Code" in caught.value.why
    assert isinstance(read_checkpoint(path, trust=True)["config"], Code)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".old"])
@pytest.mark.parametrize("kept", [0.5, 0.97])
def test_truncated_files_are_said_to_be_truncated(tmp_path: Path, suffix: str, kept: float) -> None:
    path = tmp_path / f"model{suffix}"
    state = {"table": torch.randn(64, 64)}
    if suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=suffix == ".pt")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(UserError, match="is truncated or damaged"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "It is empty."),
        (b"\n<!DOCTYPE html><html>Sign in</html>", "It is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a Git LFS pointer"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "neither a safetensors file nor a torch checkpoint"),
    ],
)
def test_other_files_are_no_checkpoints(tmp_path: Path, data: bytes, why: str) -> None:
    (tmp_path / "model.pt").write_bytes(data)
    with pytest.raises(UserError, match=f"is not a checkpoint.*{why}"):
        read_checkpoint(tmp_path / "model.pt")


def test_a_plain_pickle_or_archive_is_damaged_not_a_crash(tmp_path: Path) -> None:
    import zipfile

    (tmp_path / "plain.pkl").write_bytes(pickle.dumps({"a": 1}))
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("photo.png", b"x")
    for name in ("plain.pkl", "photos.zip"):
        with pytest.raises(UserError):
            read_checkpoint(tmp_path / name)
    with pytest.raises(UserError, match="There is no file"):
        read_checkpoint(tmp_path / "absent.pt")


def test_layout_names_the_first_few_of_each_kind_with_counts() -> None:
    layout = {f"layer{i}": (2, 3) for i in range(7)} | {"table": (2, 3), "bias": (4,)}
    state = dict(STATE) | {"extra": torch.zeros(1)}
    with pytest.raises(UserError) as caught:
        check_layout("toy", state, layout)
    assert caught.value.what == "The file does not hold the weights of 'toy'."
    assert caught.value.why == (
        "Of 9 tensors: 7 missing (layer0, layer1, layer2, layer3, ...); 1 unexpected (extra); "
        "1 of another shape (bias (2,) instead of (4,))."
    )
    check_layout("toy", STATE, {"table": (2, 3), "bias": (2,)})
