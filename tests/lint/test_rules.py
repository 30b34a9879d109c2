"""One set that trips each rule, and sets that trip none."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from dar_bench.data import open_source
from dar_bench.lint import RULES, Expectations, Finding, SampleLint, failures
from dar_bench.lint.files import FileFacts

Pixels = NDArray[np.uint8]
ANY_COUNT = Expectations(count=None)


def smooth(count: int = 48, size: int = 64, seed: int = 0, blur: float = 2.0) -> Pixels:
    """Images with the spectrum of photographs: blurred noise over all levels, (n, size, size, 3)."""
    noise = gaussian_filter(
        np.random.default_rng(seed).normal(size=(count, size, size, 3)), (0, blur, blur, 0)
    )
    return (noise / noise.std() * 50 + 128).round().clip(0, 255).astype(np.uint8)


def jpeg(images: Pixels, quality: int) -> Pixels:
    decoded = []
    for image in images:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "JPEG", quality=quality)
        decoded.append(np.asarray(Image.open(stream)))
    return np.stack(decoded)


def lint(images: NDArray[np.generic], labels: NDArray[np.int64] | None = None) -> list[Finding]:
    watcher = SampleLint(ANY_COUNT)
    for start in range(0, len(images), 10):
        rows = slice(start, start + 10)
        watcher.add(images[rows], None if labels is None else labels[rows], channels_last=True)
    return watcher.findings()


def ids(findings: list[Finding]) -> list[str]:
    return [one.rule for one in findings]


def flat_patches() -> Pixels:
    """What a network that paints in patches of 8 leaves at worst: seams on the grid of JPEG."""
    random = np.random.default_rng(0)
    patches = random.normal(size=(48, 8, 8, 3)).repeat(8, axis=1).repeat(8, axis=2) * 40 + 128
    return (patches + random.normal(size=patches.shape)).round().clip(0, 255).astype(np.uint8)


def bright() -> Pixels:
    """Overexposed images: level 255 is clamped into, level 0 never occurs."""
    return np.minimum(smooth().astype(np.int64) + 90, 255).astype(np.uint8)


CLEAN = {
    "noise": np.random.default_rng(0).integers(0, 256, (48, 64, 64, 3), dtype=np.uint8),
    "smooth": smooth(),
    "fine": smooth(blur=0.8),
    "patches": flat_patches(),
    "bright": bright(),
    "few": smooth(count=3),
    "tiny": smooth(count=48, size=8, blur=0.5),
}


@pytest.mark.parametrize("name", CLEAN)
def test_clean_sets_trip_nothing(name: str) -> None:
    labels = np.arange(len(CLEAN[name])) % 4
    assert lint(CLEAN[name], labels) == []


@pytest.mark.parametrize("split", ["train", "val"])
def test_only_true_findings_on_flat_artwork(split: str) -> None:
    """The emoji set has few colours; it does hold copies and unequal classes, and nothing else."""
    source = open_source(f"emoji64:{split}")
    watcher = SampleLint(ANY_COUNT)
    images = [np.asarray(example.image) for example in source]
    watcher.add(np.stack(images), source.labels(), channels_last=True)
    found = watcher.findings()
    assert ids(found) == ["label-imbalance", "duplicates"]
    copies = len(images) - len({image.tobytes() for image in images})
    assert found[1].numbers == {"copies": copies, "images": len(images)}


def test_nan() -> None:
    images = smooth().astype(np.float32)
    images[3, 0, 0, 0] = np.nan
    images[7, 1, 2, 1] = np.inf
    found = lint(images)
    assert ids(found) == ["not-finite", "wrong-dtype"]
    assert found[0].numbers["images"] == 2


@pytest.mark.parametrize(
    ("scaled", "interval"),
    [
        ((smooth() / 255).astype(np.float32), "[0, 1]"),
        ((smooth() / 127.5 - 1).astype(np.float16), "[-1, 1]"),
        ((smooth() > 128).astype(np.uint8), "[0, 1]"),
    ],
    ids=["zero-to-one", "minus-one-to-one", "bytes-of-zero-and-one"],
)
def test_wrong_range(scaled: NDArray[np.generic], interval: str) -> None:
    found = lint(scaled)
    assert found[0].rule == "wrong-range"
    assert interval in found[0].seen
    assert ("wrong-dtype" in ids(found)) == (scaled.dtype != np.uint8)


def test_values_beyond_eight_bits() -> None:
    assert ids(lint(smooth().astype(np.int32) + 100)) == ["wrong-range", "wrong-dtype"]


def test_floats_that_hold_whole_levels_are_only_of_another_type() -> None:
    assert ids(lint(smooth().astype(np.float32))) == ["wrong-dtype"]


def test_mixed_sizes() -> None:
    watcher = SampleLint(ANY_COUNT)
    watcher.add(smooth(size=64), channels_last=True)
    watcher.add(smooth(count=2, size=32), channels_last=True)
    found = watcher.findings()
    assert ids(found) == ["mixed-sizes"]
    assert "64x64 (48), 32x32 (2)" in found[0].seen


def test_wrong_size() -> None:
    watcher = SampleLint(Expectations(count=None, size=256))
    watcher.add(smooth(), channels_last=True)
    assert ids(watcher.findings()) == ["wrong-size"]


def test_files_are_judged_by_the_size_that_they_had() -> None:
    watcher = SampleLint(Expectations(count=None, size=64))
    for number, image in enumerate(smooth(count=4)):
        watcher.see_file(FileFacts(key=f"{number}.png", width=64 + number, height=64, format="PNG"))
        watcher.add(image[None], channels_last=True)
    assert ids(watcher.findings()) == ["mixed-sizes"]


def test_duplicates_are_counted_and_named() -> None:
    images = smooth()
    images[20] = images[4]
    images[21] = images[4]
    found = lint(images)
    assert ids(found) == ["duplicates"]
    assert found[0].numbers == {"copies": 2, "images": 48}
    assert "image 20 is image 4" in found[0].seen


def test_equal_bytes_of_another_shape_are_no_copy() -> None:
    watcher = SampleLint(ANY_COUNT)
    image = smooth(count=1, size=16)
    watcher.add(image, channels_last=True)
    watcher.add(image.reshape(1, 8, 32, 3), channels_last=True)
    assert "duplicates" not in ids(watcher.findings())


def test_blank_images() -> None:
    images = smooth()
    images[5] = 0
    found = lint(images)
    assert ids(found) == ["blank-images"]
    assert "image 5" in found[0].seen


def test_truncation_after_normalising() -> None:
    """The arithmetic of a script that normalises to [-1, 1], denormalises, and forgets to round."""
    pixels = torch.from_numpy(smooth()).float() / 255
    back = ((pixels - 0.5) / 0.5 * 0.5 + 0.5) * 255
    truncated = back.to(torch.uint8).numpy()
    assert (
        len(set(np.unique(smooth())[np.unique(smooth()) < 64])) > 50
    )  # the low levels are there to be moved
    found = lint(truncated)
    assert ids(found) == ["half-level-truncation"]
    assert "63 of the 256 levels" in found[0].seen
    assert lint(back.round().to(torch.uint8).numpy()) == []


def test_truncation_of_continuous_values() -> None:
    values = np.random.default_rng(0).random((48, 64, 64, 3))
    assert ids(lint((values * 255).astype(np.uint8))) == ["half-level-truncation"]
    assert lint((values * 255).round().astype(np.uint8)) == []
    assert lint((values * 255.999).astype(np.uint8)) == []


def test_missing_levels() -> None:
    """A loss of contrast that was stretched back after rounding: 205 levels spread over 256."""
    faint = (CLEAN["noise"] / 255 * 204).round()
    stretched = (faint / 204 * 255).round().astype(np.uint8)
    found = lint(stretched)
    assert ids(found) == ["missing-levels"]
    assert found[0].numbers["missing"] == 256 - 205


@pytest.mark.parametrize("quality", [95, 90, 75, 50])
@pytest.mark.parametrize("name", ["smooth", "fine"])
def test_jpeg_from_pixels(name: str, quality: int) -> None:
    assert "jpeg-origin" in ids(lint(jpeg(CLEAN[name], quality)))


def test_jpeg_from_pixels_of_flat_artwork() -> None:
    source = open_source("emoji64:val")
    images = np.stack([np.asarray(source[index].image) for index in range(96)])
    assert "jpeg-origin" not in ids(lint(images))
    assert "jpeg-origin" in ids(lint(jpeg(images, 90)))


def test_jpeg_from_file_types_is_found_once() -> None:
    watcher = SampleLint(ANY_COUNT)
    for number, image in enumerate(jpeg(smooth(), 75)):
        kind = "JPEG" if number % 2 else "PNG"
        watcher.see_file(FileFacts(key=f"{number}", width=64, height=64, format=kind, mode="RGB"))
        watcher.add(image[None], channels_last=True)
    found = watcher.findings()
    assert ids(found) == ["jpeg-origin"]
    assert found[0].numbers == {"files": 24}


def test_converted_files_are_a_note_that_fails_nothing() -> None:
    watcher = SampleLint(ANY_COUNT)
    watcher.see_file(FileFacts(key="a.png", width=4, height=4, format="PNG", mode="RGBA"))
    found = watcher.findings()
    assert ids(found) == ["converted-images"]
    assert failures(found, strict=True) == []


def test_strictness() -> None:
    found = lint(np.concatenate([smooth(), smooth()]))
    assert failures(found, strict=True) == found
    assert failures(found, strict=False) == []


def test_sample_count() -> None:
    watcher = SampleLint(Expectations(count=50))
    watcher.add(smooth(), channels_last=True)
    assert ids(watcher.findings()) == ["sample-count"]


def test_short_split_from_the_count_alone() -> None:
    watcher = SampleLint(Expectations(count=None, split=10))
    watcher.add(smooth(), channels_last=True)
    found = watcher.findings()
    assert ids(found) == ["short-split"]
    assert found[0].numbers == {"last_run": 8}


def test_labels_drawn_evenly_pass_and_others_do_not() -> None:
    random = np.random.default_rng(0)
    for seed in range(200):
        watcher = SampleLint(ANY_COUNT)
        watcher.set_labels(np.random.default_rng(seed).integers(0, 100, 2000))
        assert ids(watcher.findings()) == [], seed
    skewed = SampleLint(ANY_COUNT)
    skewed.set_labels(np.minimum(random.geometric(0.05, 2000), 100) - 1)
    assert ids(skewed.findings()) == ["label-imbalance"]
    absent = SampleLint(Expectations(count=None, classes=120))
    absent.set_labels(random.integers(0, 100, 2400))
    (found,) = absent.findings()
    assert found.numbers["absent"] == 20
    allowed = SampleLint(Expectations(count=None, even_labels=False))
    allowed.set_labels(np.minimum(random.geometric(0.05, 2000), 100) - 1)
    assert allowed.findings() == []


@pytest.mark.parametrize("order", ["random", "in turn", "sorted", "batches of one class"])
def test_class_order_from_labels(order: str) -> None:
    random = np.random.default_rng(0)
    labels = {
        "random": random.integers(0, 100, 20_000),
        "in turn": np.arange(20_000) % 100,
        "sorted": np.repeat(np.arange(100), 200),
        "batches of one class": np.repeat(random.permutation(100), 200),
    }[order]
    watcher = SampleLint(ANY_COUNT)
    watcher.set_labels(labels)
    found = watcher.findings()
    if order in ("random", "in turn"):
        assert found == []
        return
    assert ids(found) == ["class-sorted"]
    # Four runs of 25 classes each where 100 were possible.
    assert found[0].numbers["factor"] == pytest.approx(0.25, rel=0.01)
    assert found[0].numbers["runs"] == 100


def test_order_within_a_single_run_cannot_matter() -> None:
    watcher = SampleLint(ANY_COUNT)
    watcher.set_labels(np.repeat(np.arange(100), 50))
    assert watcher.findings() == []


def test_batches_channels_first_and_last_are_the_same_images() -> None:
    images = smooth()
    watcher = SampleLint(ANY_COUNT)
    watcher.add(images, channels_last=True)
    watcher.add(torch.from_numpy(images).permute(0, 3, 1, 2))
    (found,) = watcher.findings()
    assert found.numbers == {"copies": 48, "images": 96}


def test_the_catalogue_is_complete() -> None:
    assert all(rule.metrics and rule.effect and rule.remedy for rule in RULES.values())
    assert list(RULES) == [rule.id for rule in RULES.values()]


def test_the_documented_table_is_the_catalogue() -> None:
    page = (Path(__file__).parents[2] / "docs" / "lint.md").read_text()
    for rule in RULES.values():
        cells = (rule.id, rule.severity, ", ".join(rule.metrics), rule.effect, rule.remedy)
        assert f"| {' | '.join(cells)} |" in page, rule.id


def test_images_that_will_be_cropped_may_be_of_any_size() -> None:
    watcher = SampleLint(Expectations(count=None, cropped=True))
    watcher.add(smooth(size=64), channels_last=True)
    watcher.add(smooth(count=2, size=32), channels_last=True)
    assert watcher.findings() == []


def test_of_images_without_a_finite_value_no_range_is_told() -> None:
    found = lint(np.full((3, 8, 8, 3), np.nan, dtype=np.float32))
    assert "not-finite" in ids(found) and "wrong-range" not in ids(found)
    numbers = [number for one in found for number in one.numbers.values() if isinstance(number, float)]
    assert np.isfinite(numbers).all()
