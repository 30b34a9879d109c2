from __future__ import annotations

import pytest

from dar_bench.data import UNLABELLED, open_source
from dar_bench.data.folder import FolderSource
from dar_bench.errors import UserError


def test_flat_folder_is_unlabelled(tmp_path, files):
    for number in (10, 9, 1):
        (tmp_path / f"{number}.PNG").write_bytes(next(iter(files.values())))
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / ".hidden.png").write_bytes(b"x")
    source = open_source(tmp_path)
    assert [source.key(i) for i in range(len(source))] == ["1.PNG", "10.PNG", "9.PNG"]
    assert set(source.labels()) == {UNLABELLED}
    assert source.class_names == ()


def test_empty_folder_says_what_was_looked_for(tmp_path):
    with pytest.raises(UserError, match=r"is empty\..*\.webp"):
        open_source(tmp_path)


def test_folder_of_other_files(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "b.HEIC").write_text("x")
    with pytest.raises(UserError, match=r"no images among its 2 files.*\.heic, \.txt"):
        open_source(tmp_path)


def test_shards_in_a_sub_folder_are_pointed_at(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/train-0.parquet").write_bytes(b"x")
    with pytest.raises(UserError, match=rf"{tmp_path}/data"):
        open_source(tmp_path)


def test_class_without_images(image_folder):
    (image_folder / "bird").mkdir()
    with pytest.raises(UserError, match=r"1 class folder\(s\) without images: bird"):
        open_source(image_folder)


def test_images_beside_class_folders(image_folder, files):
    (image_folder / "loose.png").write_bytes(files["cat/a.png"])
    with pytest.raises(UserError, match=r"1 image\(s\) beside class folders with 5.*loose\.png"):
        open_source(image_folder)


def test_hidden_folders_are_no_classes(image_folder):
    (image_folder / ".ipynb_checkpoints").mkdir()
    assert open_source(image_folder).class_names == ("cat", "dog")


def test_links_are_followed_but_not_in_circles(image_folder, tmp_path):
    moved = tmp_path / "elsewhere"
    (image_folder / "cat").rename(moved)
    (image_folder / "cat").symlink_to(moved)
    assert len(open_source(image_folder)) == 5
    (image_folder / "dog/again").symlink_to(image_folder)
    with pytest.raises(UserError, match="links back"):
        open_source(image_folder)


def test_folder_that_cannot_be_listed(tmp_path):
    with pytest.raises(UserError, match=r"Cannot read the folder .*gone.*No such file"):
        FolderSource("gone", tmp_path / "gone")


def test_image_that_vanishes(image_folder):
    source = open_source(image_folder)
    (image_folder / "cat/b.png").unlink()
    with pytest.raises(UserError, match=r"cat/b\.png \(image 1 of .*No such file"):
        source[1]
