"""Adversarial losses of image tokenizers: patch discriminator, hinge losses, adaptive weight.

Sources: Isola et al. (2017) for the discriminator, Lim and Ye (2017) for the hinge losses, Esser et al. (2021) for the
adaptive weight; sizes as LlamaGen publishes them. Shape legend: B images, H x W pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

LEAK = 0.2
INIT_STD = 0.02
MOST_ADAPTIVE = 1e4


class PatchDiscriminator(nn.Module):
    """Judges overlapping patches of an image: convolutions of 4x4, batch norms, leaky ReLUs.

    The statistics of the norms are those of the batch in hand, on this process alone, as published: from the first
    adversarial step on, one process and several do not give quite the same loss curve.

    Args:
        width: channels of the first layer (64).
        layers: layers that halve the sides (3); widths double up to eight times the first.
    """

    def __init__(self, width: int = 64, layers: int = 3):
        super().__init__()
        parts: list[nn.Module] = [nn.Conv2d(3, width, 4, stride=2, padding=1), nn.LeakyReLU(LEAK)]
        channels = width
        for layer in range(1, layers + 1):
            wider = width * min(2**layer, 8)
            stride = 2 if layer < layers else 1
            parts += [
                nn.Conv2d(channels, wider, 4, stride=stride, padding=1, bias=False),
                nn.BatchNorm2d(wider),
                nn.LeakyReLU(LEAK),
            ]
            channels = wider
        parts.append(nn.Conv2d(channels, 1, 4, padding=1))
        self.parts = nn.Sequential(*parts)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=INIT_STD)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, mean=1.0, std=INIT_STD)

    def forward(self, images: Tensor) -> Tensor:
        """Return one number per patch (B, 1, h, w), high for real, of images (B, 3, H, W) in [-1, 1]."""
        judged: Tensor = self.parts(images)
        return judged


class DiscriminatorObjective(nn.Module):
    """The discriminator's side: hinge loss over real images and what the tokenizer made of them.

    Args:
        discriminator: what is trained.
        weight: scales the loss, as the published training does; it acts on the clipping of gradients only.
    """

    def __init__(self, discriminator: PatchDiscriminator, weight: float = 1.0):
        super().__init__()
        self.discriminator = discriminator
        self.weight = weight

    def forward(self, made: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss and the mean judgements.

        Args:
            made: ``real`` and ``reconstructed``, (B, 3, H, W) each.
        """
        real = self.discriminator(made["real"])
        fake = self.discriminator(made["reconstructed"])
        loss = 0.5 * (F.relu(1.0 - real).mean() + F.relu(1.0 + fake).mean())
        return self.weight * loss, {
            "real": real.detach().mean(),
            "reconstructed": fake.detach().mean(),
        }

    def fooled(self, images: Tensor) -> Tensor:
        """Return the generator's loss, minus the mean judgement of images (B, 3, H, W); leaves no gradients here."""
        held = {name: parameter.detach() for name, parameter in self.discriminator.named_parameters()}
        judged: Tensor = functional_call(self.discriminator, held, (images,))
        return -judged.mean()


def adaptive_weight(reconstruction: Tensor, adversarial: Tensor, last_layer: Tensor) -> Tensor:
    """Return the ratio of both losses' gradient norms at the decoder's last layer, 0-d, from 0 to 10,000."""
    ours = torch.autograd.grad(reconstruction, last_layer, retain_graph=True)[0]
    theirs = torch.autograd.grad(adversarial, last_layer, retain_graph=True)[0]
    ratio: Tensor = ours.norm() / (theirs.norm() + 1e-4)
    return ratio.clamp(0.0, MOST_ADAPTIVE).detach()
