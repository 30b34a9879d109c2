from __future__ import annotations

from pathlib import Path

from dar_bench.hashing import sha256_bytes, sha256_file, sha256_json

# FIPS 180-2, appendix B.1.
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_known_answer(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_bytes(b"abc") == sha256_file(tmp_path / "abc") == ABC


def test_files_longer_than_a_block(tmp_path: Path) -> None:
    data = bytes(range(256)) * 10_000
    (tmp_path / "long").write_bytes(data)
    assert sha256_file(tmp_path / "long") == sha256_bytes(data)


def test_json_does_not_depend_on_the_order_of_keys() -> None:
    assert sha256_json({"a": 1, "b": [1, 2]}) == sha256_json({"b": [1, 2], "a": 1})
    assert sha256_json({"b": [1, 2]}) != sha256_json({"b": [2, 1]})
    assert sha256_json("abc") == sha256_bytes(b'"abc"')
