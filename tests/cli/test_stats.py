"""``dar-bench stats``: from a card to a file in the store, and from images to a file of one's own."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dar_bench.hashing import sha256_file
from dar_bench.references.cards import find_card, stored_path

Run = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.usefixtures("zoo", "tiny_extractor")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: Any) -> None: ...


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    folder = tmp_path_factory.mktemp("www")
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()
    thread.join()


def batch(path: Path, seed: int = 0) -> None:
    features = np.random.default_rng(seed).normal(size=(60, 48))
    images = np.zeros((20, 256, 256, 3), dtype=np.uint8)
    np.savez(path, images, mu=features.mean(axis=0), sigma=np.cov(features, rowvar=False))


def test_the_list_says_where_everything_is(dar_bench: Run) -> None:
    status, out, _ = dar_bench("stats", "list")
    assert status == 0
    assert "adm-imagenet256" in out and "to fetch" in out and "emoji64-train" in out and "computed" in out
    listed = {card["name"]: card for card in json.loads(dar_bench("stats", "list", "--json")[1])}
    assert listed["adm-imagenet256"]["count"] == 1281167
    assert listed["adm-imagenet256"]["state"] == "to fetch"


def test_a_card_and_a_file_are_shown(dar_bench: Run) -> None:
    status, out, _ = dar_bench("stats", "show", "adm-imagenet256")
    assert status == 0
    assert "arrays.arr_0" in out and "precision and recall, and nothing else" in out
    batch(Path("mine.npz"))
    facts = json.loads(dar_bench("stats", "show", "mine.npz", "--json")[1])
    assert facts["arrays"] == {"pool": "48 dimensions", "arr_0": "20 images"}
    status, _, err = dar_bench("stats", "show", "adm-imagenet265")
    assert status == 2 and "Did you mean 'adm-imagenet256'?" in err


def test_a_fetched_reference_is_used_by_its_name(
    dar_bench: Run, server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = server
    batch(folder / "batch.npz")
    status, out, err = dar_bench("stats", "fetch", "adm-imagenet256", "--url", f"{address}/batch.npz")
    assert status == 0, err
    card = find_card("adm-imagenet256")
    assert stored_path(card).is_file() and "no hash is published" in out
    arguments = ("stats", "fetch", "adm-imagenet256", "--url", f"{address}/batch.npz", "--json")
    again = json.loads(dar_bench(*arguments)[1])
    assert again == {
        "reference": "adm-imagenet256",
        "file": str(stored_path(card)),
        "sha256": sha256_file(stored_path(card)),
        "trusted_first": False,
    }
    assert json.loads(dar_bench("stats", "list", "--json")[1])[1]["state"] == "present"
    np.savez("samples.npz", np.random.default_rng(1).integers(0, 256, (20, 256, 256, 3), dtype=np.uint8))
    # The card says which network its statistics are of, and the tiny extractor is another.
    status, _, err = dar_bench("eval", "images", "adm-imagenet256", "samples.npz")
    assert status == 2
    assert "of other features" in err and "inception-2015-12-05" in err
    np.savez("small.npz", np.zeros((20, 64, 64, 3), dtype=np.uint8))
    status, _, err = dar_bench("eval", "images", "adm-imagenet256", "small.npz")
    assert status == 2 and "is of 256x256 px images, the samples 'small.npz' are 64x64" in err
    status, _, err = dar_bench("eval", "gfid", "--model", "small", "--reference", "adm-imagenet256")
    assert status == 2 and "is of 256 px images, the model makes 16 px" in err


def test_a_changed_or_cut_or_wrong_file_is_not_kept(dar_bench: Run, server: tuple[Path, str]) -> None:
    folder, address = server
    (folder / "page.npz").write_text("<html>Not found</html>")
    card = find_card("adm-imagenet256")
    status, _, err = dar_bench("stats", "fetch", card.name, "--url", f"{address}/page.npz")
    assert status == 2 and "Cannot read the statistics" in err
    assert not stored_path(card).exists()
    # What was no reference is not demanded afterwards.
    batch(folder / "page.npz")
    assert dar_bench("stats", "fetch", card.name, "--url", f"{address}/page.npz")[0] == 0
    batch(folder / "page.npz", seed=1)
    stored_path(card).unlink()
    status, _, err = dar_bench("stats", "fetch", card.name, "--url", f"{address}/page.npz")
    assert status == 2 and "not the expected one" in err
    status, _, err = dar_bench("stats", "fetch", card.name, "--offline")
    assert status == 2 and "downloads are off" in err and "With the file from another machine" in err


def test_own_statistics_stand_on_either_side(dar_bench: Run) -> None:
    random = np.random.default_rng(0)
    np.savez("reference.npz", random.integers(0, 200, (80, 16, 16, 3), dtype=np.uint8))
    np.savez("samples.npz", random.integers(60, 256, (70, 16, 16, 3), dtype=np.uint8))
    for name in ("reference", "samples"):
        status, out, err = dar_bench("stats", "build", f"{name}.npz", "--out", f"{name}-stats.npz", "--json")
        assert status == 0, err
        assert json.loads(out)["extractor"] == "tiny-extractor"
    found = []
    for reference in ("reference.npz", "reference-stats.npz"):
        for samples in ("samples.npz", "samples-stats.npz"):
            status, out, err = dar_bench("eval", "images", reference, samples, "--json")
            assert status == 0, err
            record = json.loads(out)
            assert record["evaluator"]["reference_count"] == 80 and record["samples"] == 70
            found.append(record["scores"][0])
    assert {score["name"] for score in found} == {"FD[tiny-extractor]"}
    # The same float64 moments, summed in another order.
    assert [score["value"] for score in found] == pytest.approx([found[0]["value"]] * 4, rel=1e-9)
    np.savez("other.npz", random.integers(0, 256, (20, 24, 24, 3), dtype=np.uint8))
    status, _, err = dar_bench("eval", "images", "reference-stats.npz", "other.npz")
    assert status == 2 and "is of 16x16 px images, the samples 'other.npz' are 24x24" in err


def test_own_statistics_are_a_reference_of_a_model(dar_bench: Run) -> None:
    build = ("stats", "build", "dots:train", "--crop", 16, "--out", "dots.npz")
    assert dar_bench(*build)[0] == 0
    arguments = ("eval", "gfid", "--model", "small", "--samples", 20, "--labels", "balanced", "--json")
    by_images, by_statistics = (
        json.loads(dar_bench(*arguments, "--reference", name)[1]) for name in ("dots:train", "dots.npz")
    )
    distance = [record["scores"][0]["value"] for record in (by_images, by_statistics)]
    assert distance[0] == pytest.approx(distance[1], rel=1e-9)
    assert len(by_statistics["scores"]) < len(by_images["scores"])
