from __future__ import annotations

import socket
from pathlib import Path

import pytest

from dar_bench.results.portable import platform_name, portable_command, portable_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dar-tiny", "dar-tiny"),
        ("linear:1.1-8.0", "linear:1.1-8.0"),
        ("images/train", "images/train"),
        ("emoji64:val", "emoji64:val"),
        ("/home/anna/data/train.zip", "train.zip"),
        ("/home/anna/my photos/best of/x.png", "x.png"),
        ("--data=/mnt/disk/set.parquet", "--data=set.parquet"),
        ("data.path=/mnt/disk/set.parquet", "data.path=set.parquet"),
        ("~/secret/model.pt", "model.pt"),
        ("~anna/secret/model.pt", "model.pt"),
        ("../elsewhere/x.npz", "x.npz"),
        ("--out=../../x.npz", "--out=x.npz"),
        ("/a/one.png,/b/two.png", "one.png,two.png"),
        ("neither in '/root/store' nor in '/root/hub'.", "neither in 'store' nor in 'hub'."),
        ("C:\\Users\\anna\\x.png", "x.png"),
        ("/", "<folder>"),
        ("..", "<folder>"),
        ("https://example.org/a/b.pt", "https://example.org/a/b.pt"),
        ("https://anna:pw@example.org/a.pt?token=1", "https://example.org/a.pt"),
        ("file:///home/anna/x.npz", "x.npz"),
        ("x/127.5-1;float32", "x/127.5-1;float32"),
        ("12 images/s", "12 images/s"),
    ],
)
def test_paths_and_addresses(text: str, expected: str) -> None:
    assert portable_text(text) == expected
    assert portable_text(expected) == expected


def test_command_is_relative_to_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "workstation7")
    project = tmp_path / "project"
    found = portable_command(
        [
            "/opt/venv/bin/dar-bench",
            "eval",
            "images",
            str(project / "data" / "ref.npz"),
            f"--samples={project}/out/x.npz",
            "/scratch/anna/y.npz",
            "--note=made on workstation7",
        ],
        project,
    )
    assert found == [
        "dar-bench",
        "eval",
        "images",
        "data/ref.npz",
        "--samples=out/x.npz",
        "y.npz",
        "--note=made on <host>",
    ]
    assert portable_command([]) == []


def test_platform_does_not_name_the_host() -> None:
    assert socket.gethostname() not in platform_name()
    assert platform_name().count("-") >= 1
