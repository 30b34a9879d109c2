"""The discriminator, the hinge losses and the adaptive weight against their definitions."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dar_bench.training.adversarial import DiscriminatorObjective, PatchDiscriminator, adaptive_weight


def test_published_discriminator_has_its_size_and_field() -> None:
    with torch.device("meta"):
        network = PatchDiscriminator()
    # Five convolutions of 4x4 (3, 64, 128, 256, 512, 1), biases in the first and the last, norms in between.
    weights = 16 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512 * 1)
    assert sum(p.numel() for p in network.parameters()) == weights + 64 + 1 + 2 * (128 + 256 + 512)
    assert network(torch.empty(2, 3, 256, 256, device="meta")).shape == (2, 1, 30, 30)


class Fixed(PatchDiscriminator):
    """Judges an image by its mean."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.scale * images.mean(dim=(1, 2, 3))


def test_hinge_losses_by_hand() -> None:
    objective = DiscriminatorObjective(Fixed(), weight=0.5)
    real = torch.tensor([0.25, 1.0])[:, None, None, None].expand(2, 3, 4, 4)  # judged 0.5 and 2
    fake = torch.tensor([-1.0, 0.5])[:, None, None, None].expand(2, 3, 4, 4)  # judged -2 and 1
    loss, scalars = objective({"real": real, "reconstructed": fake})
    # Real: max(0, 1 - 0.5) and 0; fake: 0 and 1 + 1.
    assert loss.item() == pytest.approx(0.5 * 0.5 * ((0.5 + 0) / 2 + (0 + 2) / 2))
    assert float(scalars["real"]) == pytest.approx(1.25)
    assert float(scalars["reconstructed"]) == pytest.approx(-0.5)


def test_the_tokenizers_side_leaves_no_gradient_in_the_discriminator() -> None:
    torch.manual_seed(0)
    objective = DiscriminatorObjective(PatchDiscriminator(width=8, layers=2))
    images = torch.rand(2, 3, 32, 32, requires_grad=True)
    loss = objective.fooled(images)
    loss.backward()
    assert images.grad is not None and float(images.grad.abs().max()) > 0
    assert all(parameter.grad is None for parameter in objective.parameters())
    assert loss.item() == pytest.approx(-float(objective.discriminator(images).mean()), rel=1e-5)


def test_adaptive_weight_is_the_ratio_of_gradients() -> None:
    weight = torch.tensor([3.0, 4.0], requires_grad=True)
    ratio = adaptive_weight((weight * torch.tensor([6.0, 8.0])).sum(), weight.sum() * 0.5, weight)
    assert float(ratio) == pytest.approx(10.0 / (0.5 * 2**0.5 + 1e-4), rel=1e-6)
    assert not ratio.requires_grad
    assert float(adaptive_weight(weight.sum(), (weight * 0.0).sum(), weight)) == pytest.approx(1e4)
