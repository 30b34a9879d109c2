from __future__ import annotations

import functools

import pytest

from dar_bench import plugins
from dar_bench.api import DatasetSpec
from dar_bench.data import open_source
from dar_bench.data.opening import expand
from dar_bench.errors import UserError


def test_expand_ranges_and_globs(tmp_path):
    for number in range(8, 12):
        (tmp_path / f"x-{number:03d}.tar").touch()
    names = [path.name for path in expand(str(tmp_path / "x-{008..010}.tar"))]
    assert names == ["x-008.tar", "x-009.tar", "x-010.tar"]
    assert [path.name for path in expand(str(tmp_path / "*-01?.tar"))] == ["x-010.tar", "x-011.tar"]
    with pytest.raises(UserError, match=r"no file .*x-012\.tar.*'.*\{011\.\.012\}"):
        expand(str(tmp_path / "x-{011..012}.tar"))
    with pytest.raises(UserError, match="backwards"):
        expand(str(tmp_path / "x-{011..008}.tar"))
    with pytest.raises(UserError, match="No file matches"):
        expand(str(tmp_path / "y-*.tar"))


def test_relative_glob(tmp_path, monkeypatch):
    (tmp_path / "a.tar").touch()
    monkeypatch.chdir(tmp_path)
    assert [str(path) for path in expand("*.tar")] == ["a.tar"]


def test_splits_of_a_folder_are_not_mixed(tmp_path, files, write_parquet):
    for name in ("train-00000-of-00002", "train-00001-of-00002", "validation-00000-of-00001"):
        write_parquet(tmp_path / f"{name}.parquet", [files["cat/a.png"]], [0])
    with pytest.raises(UserError, match=r"several splits: train, validation.*validation\*\.parquet"):
        open_source(tmp_path)
    assert len(open_source(str(tmp_path / "train-*.parquet"))) == 2


def test_folder_of_one_split(tmp_path, files, write_parquet):
    for number in range(2):
        write_parquet(tmp_path / f"train-{number}.parquet", [files["cat/a.png"]], [0])
    assert len(open_source(tmp_path)) == 2


def test_mixed_folder(tmp_path, files, write_parquet):
    write_parquet(tmp_path / "a.parquet", [files["cat/a.png"]], [0])
    (tmp_path / "b.png").write_bytes(files["cat/a.png"])
    with pytest.raises(UserError, match=r"mixes \.parquet and images.*\*\.parquet"):
        open_source(tmp_path)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nothing/here", "no file or folder nothing/here"),
        ("nothing.npz", r"no file or folder nothing\.npz"),
        ("nothing", "no file, folder or data set nothing"),
    ],
)
def test_what_is_not_there(spec, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        open_source(spec)


def test_files_of_no_known_kind(tmp_path, files):
    (tmp_path / "a.csv").touch()
    with pytest.raises(UserError, match="no data set that can be read"):
        open_source(tmp_path / "a.csv")
    (tmp_path / "a.png").write_bytes(files["cat/a.png"])
    with pytest.raises(UserError, match="Name their folder"):
        open_source(tmp_path / "a.png")


def test_columns_are_for_parquet(image_folder):
    with pytest.raises(UserError, match="'pixels' cannot be chosen"):
        open_source(image_folder, image_column="pixels")


class _Registry:
    def __init__(self, spec: DatasetSpec):
        self._spec = spec

    def datasets(self) -> list[DatasetSpec]:
        return [self._spec]

    def dataset(self, name: str) -> DatasetSpec:
        return self._spec


def test_data_sets_of_plugins(tmp_path, files, write_parquet, monkeypatch):
    write_parquet(tmp_path / "val.parquet", [files["cat/a.png"]], [1])
    spec = DatasetSpec(
        name="pets", splits={"val": "pets:val.parquet"}, summary="", class_names=("cat", "dog")
    )
    monkeypatch.setattr(plugins, "registry", functools.partial(_Registry, spec))
    monkeypatch.setattr(plugins, "resource_path", lambda resource: tmp_path / resource.partition(":")[2])
    source = open_source("pets:val")
    assert source[0].label == 1
    assert source.class_names == ("cat", "dog")
    with pytest.raises(UserError, match=r"split of pets 'vall'.*'val'"):
        open_source("pets:vall")
    with pytest.raises(UserError, match=r"names no split.*pets:val"):
        open_source("pets")
    with pytest.raises(UserError, match=r"Unknown data set 'pest'.*'pets'"):
        open_source("pest:val")
